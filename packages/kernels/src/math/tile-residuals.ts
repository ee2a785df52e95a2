import { argumentError } from "../arguments.ts";
import { checkCounts, checkNumber, matrix } from "./call.ts";
import type { MathBackend } from "./call.ts";
import { bytesArray, tileArguments } from "./tile-codes.ts";
import type { TileCodes } from "./tile-codes.ts";

export interface TileResidualsParams {
  readonly rows: number;
  readonly columns: number;
  /** rows x columns */
  readonly weights: Float32Array;
  readonly tileCodes: TileCodes;
  /** By tile: 0 for those that are left out. */
  readonly asked: Uint8Array;
  readonly shrinkage: Shrinkage;
  /** By tile, become the sums of `|w - value|`. */
  readonly errors: Float64Array;
  /** By tile, become the sums of `w - shrunk - (value - value of code 0)`, with `shrunk` as {@link Shrinkage} has it for `w - value`. */
  readonly centres: Float64Array;
}

/** A difference d becomes `sign(d) * max(|d| - |d|^exponent / beta, 0)`. */
export interface Shrinkage {
  readonly exponent: number;
  /** Above 0. */
  readonly beta: number;
  /** Up to this magnitude, all becomes 0: what spares the power. */
  readonly bound: number;
}

export function tileResiduals(backend: MathBackend, params: TileResidualsParams): void {
  const { rows, columns, weights, tileCodes, asked, errors, centres } = params;
  const { exponent, beta, bound } = params.shrinkage;
  checkCounts({ rows, columns });
  for (const [name, value] of Object.entries({ exponent, beta, bound })) checkNumber(`the ${name}`, value);
  if (beta <= 0) throw argumentError("beta must be above 0");
  const codes = tileArguments(tileCodes, { rows, totalColumns: columns });
  const tiles = Math.ceil(rows / tileCodes.tile.rows) * Math.ceil(columns / tileCodes.tile.columns);
  const sums = { kind: "F64", access: "update", rows: 1, columns: tiles } as const;
  backend.run({
    operation: "tileResiduals",
    numbers: [rows, columns, columns, exponent, beta, bound, ...codes.numbers],
    arrays: [
      matrix({ name: "weights", kind: "F32", data: weights, access: "read", rows, columns }),
      bytesArray("asked", asked, "read", 1, tiles),
      matrix({ ...sums, name: "errors", data: errors }),
      matrix({ ...sums, name: "centres", data: centres }),
      ...codes.arrays,
    ],
  });
}
