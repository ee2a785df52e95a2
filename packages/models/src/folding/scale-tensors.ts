import { type ScaleFactors, scaling } from "../expressions/operations/scale.ts";
import type { FoldedPart } from "./folding.ts";
import type { WeightChanges } from "./weight-changes.ts";

/** Tensors with their parts multiplied by factors of the columns of an input; several parts may be of one tensor. */
export function scaleTensors(
  scaled: Iterable<{ readonly part: FoldedPart; readonly factors: Float64Array }>,
): WeightChanges {
  const scales = new Map<string, TensorScale>();
  for (const { part, factors } of scaled) {
    const scale = scales.get(part.tensor) ?? new TensorScale(part);
    scales.set(part.tensor, scale);
    scale.multiply(part, factors);
  }
  return new Map([...scales].map(([name, own]) => [name, [scaling(own.factors())]]));
}

/** Factors of one tensor, gathered from foldings. */
class TensorScale {
  readonly #shape: readonly number[];
  readonly #offset: number;
  #rows: Float64Array | undefined;
  #columns: Float64Array | undefined;

  constructor({ shape, offset }: FoldedPart) {
    this.#shape = shape;
    this.#offset = offset;
  }

  multiply(part: FoldedPart, factors: Float64Array): void {
    if (part.axis === "rows") this.#multiplyRows(part, factors);
    else this.#multiplyColumns(part, factors);
  }

  factors(): ScaleFactors {
    return {
      ...(this.#rows && { rows: this.#rows }),
      ...(this.#columns && { columns: this.#columns }),
      ...(this.#offset !== 0 && { offset: this.#offset }),
    };
  }

  #multiplyRows({ firstRow, rows, columnOf }: FoldedPart, factors: Float64Array): void {
    this.#rows ??= new Float64Array(rowsOf(this.#shape)).fill(1);
    for (let row = 0; row < rows; row++) {
      this.#rows[firstRow + row]! *= factorAt(factors, columnOf, row);
    }
  }

  /** Where a part has not all rows, columns get factors for each group of as many rows. */
  #multiplyColumns({ firstRow, rows, columnOf }: FoldedPart, factors: Float64Array): void {
    const width = this.#shape.at(-1)!;
    const groups = rowsOf(this.#shape) / rows;
    const known = this.#columns ?? new Float64Array(width).fill(1);
    const before = known.length / width;
    const after = Math.max(before, groups);
    const all = new Float64Array(after * width);
    const [first, end] = groups === 1 ? [0, after] : [firstRow / rows, firstRow / rows + 1];
    for (let group = 0; group < after; group++) {
      const from = Math.floor((group * before) / after) * width;
      for (let column = 0; column < width; column++) {
        const factor = group >= first && group < end ? factorAt(factors, columnOf, column) : 1;
        all[group * width + column] = known[from + column]! * factor;
      }
    }
    this.#columns = all;
  }
}

function factorAt(factors: Float64Array, columnOf: Int32Array | undefined, index: number): number {
  const column = columnOf === undefined ? index % factors.length : columnOf[index]!;
  return column < 0 ? 1 : factors[column]!;
}

function rowsOf(shape: readonly number[]): number {
  return shape.slice(0, -1).reduce((all, size) => all * size, 1);
}
