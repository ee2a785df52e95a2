import { minMax } from "../calibrators/min-max.ts";
import type { FitParams, FittedGrid, Grid } from "../grids/grid.ts";
import type { Matrix } from "../matrix.ts";

const BLOCK = 64;
const SUB_BLOCK = 16;
const MOST = 15;
const LEVELS = 63;

/**
 * Blocks of 64 columns with two parameters, and sub-blocks of 16 with whole multiples of each: value = d * scale * code - m * minimum, in the
 * manner of K-quants. No tiles with one scale, and no plain data: what `Grid` and `FittedGrid` have to carry.
 */
export function superBlockGrid(): Grid {
  return {
    name: "super-block",
    bits: 4,
    movesOffsets: false,
    unitOf: () => ({ rows: 1, columns: BLOCK }),
    open: (matrix) => new SuperBlocks(matrix),
  };
}

class SuperBlocks implements FittedGrid {
  readonly unit = { rows: 1, columns: BLOCK };
  readonly parameterCount = 2;
  readonly #shape: Matrix;
  /** By block: d, m. */
  readonly #parameters: Float32Array;
  /** By sub-block. */
  readonly #scales: Uint8Array;
  readonly #minimums: Uint8Array;

  constructor(matrix: Matrix) {
    this.#shape = matrix;
    const { rows, columns } = matrix;
    this.#parameters = new Float32Array(2 * rows * Math.ceil(columns / BLOCK));
    this.#scales = new Uint8Array(rows * Math.ceil(columns / SUB_BLOCK));
    this.#minimums = new Uint8Array(this.#scales.length);
  }

  #block(row: number, column: number): number {
    return row * Math.ceil(this.#shape.columns / BLOCK) + Math.floor(column / BLOCK);
  }

  #subBlock(row: number, column: number): number {
    return row * Math.ceil(this.#shape.columns / SUB_BLOCK) + Math.floor(column / SUB_BLOCK);
  }

  fit({ values, from = 0, to = this.#shape.columns, calibrator = minMax() }: FitParams): void {
    const { rows, columns } = this.#shape;
    for (let row = 0; row < rows; row++) {
      for (let column = from; column < to; column += BLOCK) {
        const ranges: { low: number; high: number }[] = [];
        for (let sub = column; sub < Math.min(column + BLOCK, to); sub += SUB_BLOCK) {
          const part = values.subarray(row * columns + sub, row * columns + Math.min(sub + SUB_BLOCK, to));
          const { low, high } = calibrator.range({ batches: [{ values: part }], bits: 4, error: () => 0 });
          ranges.push({ low: Math.min(low, 0), high: Math.max(high, 0) });
        }
        const d = Math.max(...ranges.map(({ low, high }) => high - low)) / MOST / LEVELS;
        const m = Math.max(...ranges.map(({ low }) => -low)) / LEVELS;
        this.writeParameters(row, column, Float64Array.of(d, m));
        ranges.forEach(({ low, high }, i) => {
          const sub = this.#subBlock(row, column + i * SUB_BLOCK);
          this.#scales[sub] = d === 0 ? 0 : Math.round((high - low) / MOST / d);
          this.#minimums[sub] = m === 0 ? 0 : Math.round(-low / m);
        });
      }
    }
  }

  settle(): void {}

  encode(row: number, column: number, value: number): number {
    const scale = this.decode(row, column, 1) - this.decode(row, column, 0);
    const code = scale === 0 ? 0 : Math.round((value - this.decode(row, column, 0)) / scale);
    return Math.min(Math.max(code, 0), MOST);
  }

  decode(row: number, column: number, code: number): number {
    const block = 2 * this.#block(row, column);
    const sub = this.#subBlock(row, column);
    return Math.fround(
      this.#parameters[block]! * this.#scales[sub]! * code -
        this.#parameters[block + 1]! * this.#minimums[sub]!,
    );
  }

  neighbour(_row: number, _column: number, code: number, up: boolean): number {
    return Math.min(Math.max(code + (up ? 1 : -1), 0), MOST);
  }

  factors(row: number, column: number, code: number, into: Float64Array): void {
    const sub = this.#subBlock(row, column);
    into[0] = this.#scales[sub]! * code;
    into[1] = -this.#minimums[sub]!;
  }

  readParameters(row: number, column: number, into: Float64Array): void {
    const block = 2 * this.#block(row, column);
    into.set(this.#parameters.subarray(block, block + 2));
  }

  writeParameters(row: number, column: number, parameters: Float64Array): void {
    this.#parameters.set(parameters, 2 * this.#block(row, column));
  }
}
