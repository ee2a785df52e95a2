import { argumentError } from "../arguments.ts";
import { checkCounts, matrix } from "./call.ts";
import type { MathArray } from "./call.ts";
import type { CodeTable } from "./code-table.ts";

/**
 * How codes are found and what they mean, with the scale and the shift of a tile. Arithmetic is F32, operation by operation; integers are
 * rounded to nearest, ties to even. Where a scale is 0, a weight is not divided by it but counts as 0.
 *
 * - "zero": the code is `round(w / scale) + shift`, clamped from `least` to `most`; it means `scale * (code - shift)`.
 * - "offset": `round((w - shift) / scale)`, clamped; it means `scale * code + shift`.
 * - "table": the code that the table has for `w / scale`, or where `reciprocal` for `w * (1 / max(scale, 1e-38))`; it means
 *   `table value * scale`. Where there are shifts, the table has it for `(w - shift) / scale`, and it means `table value * scale + shift`.
 */
export type CodeRule =
  | { readonly kind: "zero" | "offset"; readonly least: number; readonly most: number }
  | { readonly kind: "table"; readonly table: CodeTable; readonly reciprocal: boolean };

/** The codes of a matrix whose tiles have a scale and a shift each. Scales and shifts may change between calls. */
export interface TileCodes {
  readonly rule: CodeRule;
  /** Those at the edges may be smaller. */
  readonly tile: { readonly rows: number; readonly columns: number };
  /** By tile, one row of tiles after the other. */
  readonly scales: Float32Array;
  /** The same; tables that are not reciprocal may do without. */
  readonly shifts?: Float32Array | undefined;
}

/** The part of a matrix that an operation works on: all rows. */
export interface TileColumns {
  readonly rows: number;
  /** Of the whole matrix. */
  readonly totalColumns: number;
}

const KINDS = { zero: 0, offset: 1, table: 2 } as const;
const RECIPROCAL = 3;
const SHIFTED = 4;
/** The rule of `compensateColumns` without codes. */
const UNROUNDED: readonly number[] = [5, 0, 0, 0, 1, 1, 1];

interface TileArguments {
  readonly numbers: readonly number[];
  /** Scales, shifts, table. */
  readonly arrays: readonly (MathArray | undefined)[];
}

/** What csrc/math/tile-codes.h reads. */
export function tileArguments(
  codes: TileCodes | undefined,
  { rows, totalColumns }: TileColumns,
): TileArguments {
  if (codes === undefined) return { numbers: UNROUNDED, arrays: [undefined, undefined, undefined] };
  const { rule, tile, scales, shifts } = codes;
  checkCounts({ "rows of a tile": tile.rows, "columns of a tile": tile.columns });
  if (tile.rows === 0 || tile.columns === 0) throw argumentError("tiles need rows and columns");
  const across = Math.ceil(totalColumns / tile.columns);
  const tiles = { kind: "F32", access: "read", rows: Math.ceil(rows / tile.rows), columns: across } as const;
  const common = [tile.rows, tile.columns, across];
  const scaleArray = matrix({ ...tiles, name: "scales", data: scales });
  const shiftArray = shifts && matrix({ ...tiles, name: "shifts", data: shifts });
  if (rule.kind === "table") {
    const { bytes, levels } = rule.table;
    if (rule.reciprocal && shifts) throw argumentError("tables by reciprocals take no shifts");
    const kind = rule.reciprocal ? RECIPROCAL : shifts ? SHIFTED : KINDS.table;
    return {
      numbers: [kind, 0, 0, levels, ...common],
      arrays: [scaleArray, shiftArray, bytesArray("table", bytes, "read", 1, bytes.length)],
    };
  }
  const { kind, least, most } = rule;
  if (!(least >= 0 && least <= most && most <= 255)) {
    throw argumentError(`codes are from 0 to 255, not from ${least} to ${most}`);
  }
  if (shiftArray === undefined) throw argumentError(`rule ${JSON.stringify(kind)} takes shifts`);
  return {
    numbers: [KINDS[kind], least, most, 0, ...common],
    arrays: [scaleArray, shiftArray, undefined],
  };
}

/** Rows of bytes. */
export function bytesArray(
  name: string,
  data: Uint8Array,
  access: MathArray["access"],
  rows: number,
  columns: number,
  stride: number = columns,
): MathArray {
  return matrix({ name, kind: "U8", data, access, rows, columns, stride });
}
