import { argumentError } from "../arguments.ts";
import { checkCounts, checkNumber, matrix } from "./call.ts";
import type { MathArray, MathBackend } from "./call.ts";
import { tileArguments } from "./tile-codes.ts";
import type { CodeRule } from "./tile-codes.ts";

/** Columns of a matrix from the start of a tile on, all rows; results are by tile, one row of tiles after the other. */
interface TilesParams {
  readonly rows: number;
  readonly columns: number;
  /** rows x columns */
  readonly weights: Float32Array;
  /** Elements from row to row. @default columns */
  readonly stride?: number | undefined;
  readonly tile: { readonly rows: number; readonly columns: number };
  /** By column, not negative. */
  readonly importance?: Float32Array | undefined;
}

export interface TileRangesParams extends TilesParams {
  /** Become the smallest and the largest weight of each tile among those whose importance is not 0; of all where there is none. */
  readonly low: Float32Array;
  readonly high: Float32Array;
}

export interface SearchTilesParams extends TilesParams {
  readonly rule: CodeRule;
  /** Scales and shifts that are tried for a tile. */
  readonly tries: number;
  /** By tile, how many of them there are, from 1 on. @default all */
  readonly counts?: Float32Array | undefined;
  /** tiles x tries */
  readonly scales: Float32Array;
  /** The same, where the rule takes shifts. */
  readonly shifts?: Float32Array | undefined;
  /** Of errors. @default 2 */
  readonly exponent?: number | undefined;
  /** Instead of importance: tiles across x tile columns x tile columns, by which errors of a row are weighed as `e H e^T`. */
  readonly hessian?: Float32Array | undefined;
  /** Becomes the number of the try with the least error, the first one of equals. */
  readonly best: Float32Array;
}

interface Tiles {
  readonly across: number;
  readonly count: number;
  readonly arrays: readonly [weights: MathArray, importance: MathArray | undefined];
  /** Rows, columns, stride. */
  readonly numbers: readonly number[];
}

function tilesOf({ rows, columns, weights, stride = columns, tile, importance }: TilesParams): Tiles {
  checkCounts({ rows, columns, "rows of a tile": tile.rows, "columns of a tile": tile.columns });
  if (tile.rows === 0 || tile.columns === 0) throw argumentError("tiles need rows and columns");
  const across = Math.ceil(columns / tile.columns);
  return {
    across,
    count: Math.ceil(rows / tile.rows) * across,
    arrays: [
      matrix({ name: "weights", kind: "F32", data: weights, access: "read", rows, columns, stride }),
      importance && row("importance", importance, "read", columns),
    ],
    numbers: [rows, columns, stride],
  };
}

function row(name: string, data: Float32Array, access: MathArray["access"], columns: number): MathArray {
  return matrix({ name, kind: "F32", data, access, rows: 1, columns });
}

export function tileRanges(backend: MathBackend, params: TileRangesParams): void {
  const { tile, low, high } = params;
  const tiles = tilesOf(params);
  const results = [row("low", low, "write", tiles.count), row("high", high, "write", tiles.count)];
  const numbers = [...tiles.numbers, tile.rows, tile.columns];
  backend.run({ operation: "tileRanges", numbers, arrays: [...tiles.arrays, ...results] });
}

export function searchTiles(backend: MathBackend, params: SearchTilesParams): void {
  const { tile, rule, tries, counts, scales, shifts, exponent = 2, hessian, best } = params;
  const tiles = tilesOf(params);
  checkCounts({ tries });
  checkNumber("the exponent of errors", exponent);
  if (tries === 0 || exponent <= 0) throw argumentError("a search takes tries, and an exponent above 0");
  if (counts?.subarray(0, tiles.count).some((count) => !(count >= 1 && count <= tries))) {
    throw argumentError(`tiles have 1 to ${tries} tries`);
  }
  // Tries lie as if each of them was a tile.
  const shape = { rows: tiles.count, totalColumns: tries };
  const candidates = tileArguments({ rule, tile: { rows: 1, columns: 1 }, scales, shifts }, shape);
  const codeNumbers = [...candidates.numbers.slice(0, 4), tile.rows, tile.columns, tiles.across];
  const arrays = [
    ...tiles.arrays,
    hessian && row("hessian", hessian, "read", tiles.across * tile.columns ** 2),
    row("best", best, "write", tiles.count),
    ...candidates.arrays,
    counts && row("counts", counts, "read", tiles.count),
  ];
  const numbers = [...tiles.numbers, tries, exponent, ...codeNumbers];
  backend.run({ operation: "searchTiles", numbers, arrays });
}
