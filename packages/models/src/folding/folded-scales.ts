import { QuernError } from "@quern/tensor";
import { type ScaleFactors, scaling } from "../expressions/operations/scale.ts";
import type { WeightChanges } from "./weight-changes.ts";
import type { FoldedPart, Folding } from "./folding.ts";

/** A folding and what has been chosen for it. */
export interface ChosenFolding {
  readonly folding: Folding;
  /** By column of the input, positive and finite; the same for columns that are tied. */
  readonly factors: Float32Array;
}

/**
 * What becomes of the checkpoint's tensors when factors are folded in.
 *
 * @throws QuernError `FOLDING_FACTORS` for factors that are not positive and finite, too many or too few, or not the same where they must be
 */
export function foldedScales(chosen: readonly ChosenFolding[]): WeightChanges {
  const scales = new Map<string, TensorScale>();
  for (const { folding, factors } of chosen) {
    checkFactors(folding, factors);
    const exact = Float64Array.from(factors);
    const inverse = exact.map((factor) => 1 / factor);
    for (const part of folding.multiplied) scaleOf(scales, part).multiply(part, exact);
    for (const part of folding.divided) scaleOf(scales, part).multiply(part, inverse);
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

function scaleOf(scales: Map<string, TensorScale>, part: FoldedPart): TensorScale {
  const scale = scales.get(part.tensor) ?? new TensorScale(part);
  scales.set(part.tensor, scale);
  return scale;
}

function factorAt(factors: Float64Array, columnOf: Int32Array | undefined, index: number): number {
  const column = columnOf === undefined ? index % factors.length : columnOf[index]!;
  return column < 0 ? 1 : factors[column]!;
}

function rowsOf(shape: readonly number[]): number {
  return shape.slice(0, -1).reduce((all, size) => all * size, 1);
}

function checkFactors({ name, columns, tied }: Folding, factors: Float32Array): void {
  const wrong = (found: string): QuernError =>
    new QuernError("FOLDING_FACTORS", `factors of ${name}: ${found}`, { subject: { key: name } });
  if (factors.length !== columns)
    throw wrong(`${factors.length}, expected one for each of ${columns} columns`);
  const invalid = factors.findIndex((factor) => !(factor > 0 && factor < Infinity));
  if (invalid >= 0) throw wrong(`${factors[invalid]} for column ${invalid}, expected a positive number`);
  if (tied === undefined) return;
  const known = new Map<number, number>();
  for (const [column, group] of tied.entries()) {
    const factor = known.get(group) ?? factors[column]!;
    if (factor !== factors[column])
      throw wrong(`${factors[column]} for column ${column}, which has to have ${factor}`);
    known.set(group, factor);
  }
}
