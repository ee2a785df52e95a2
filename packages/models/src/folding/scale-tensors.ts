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
    const parts = rowsOf(this.#shape) / rows;
    const columns = repeated(this.#columns ?? new Float64Array(width).fill(1), parts, width);
    const groups = columns.length / width;
    const [first, end] = parts === 1 ? [0, groups] : [firstRow / rows, firstRow / rows + 1];
    for (let group = first; group < end; group++) {
      for (let column = 0; column < width; column++) {
        columns[group * width + column]! *= factorAt(factors, columnOf, column);
      }
    }
    this.#columns = columns;
  }
}

/** Factors of a group of rows as those of each of several groups, unless they are so already. */
function repeated(columns: Float64Array, groups: number, width: number): Float64Array {
  if (columns.length > width || groups === 1) return columns;
  const all = new Float64Array(groups * width);
  for (let group = 0; group < groups; group++) all.set(columns, group * width);
  return all;
}

function factorAt(factors: Float64Array, columnOf: Int32Array | undefined, index: number): number {
  const column = columnOf === undefined ? index % factors.length : columnOf[index]!;
  return column < 0 ? 1 : factors[column]!;
}

function rowsOf(shape: readonly number[]): number {
  return shape.slice(0, -1).reduce((all, size) => all * size, 1);
}
