import { codeTable, type CodeRule, type TileCodes } from "@quern/kernels";
import type { BlockLayout } from "./block-layout.ts";
import type { BlockParameters } from "./block-parameters.ts";
import type { LevelTable } from "./level-table.ts";

/** How kernels find the codes of a layout. */
export interface BlockCodes {
  readonly rule: CodeRule;
  /** The code of level 0 where the rule takes it. */
  readonly zero?: number;
}

export function blockCodes(
  { minimum }: BlockLayout,
  { levels, consecutive, nearest }: LevelTable,
): BlockCodes {
  const codes = { least: 0, most: levels.length - 1 };
  if (consecutive && minimum && levels[0] === 0) return { rule: { kind: "offset", ...codes } };
  if (consecutive && !minimum) return { rule: { kind: "zero", ...codes }, zero: -levels[0]! };
  const table = codeTable({ values: Float32Array.from(levels), encode: nearest });
  return { rule: { kind: "table", table, reciprocal: false } };
}

/** What kernels take for the values of codes, and for the factors of d (0) and dmin (1). */
export function kernelForms(
  { rule, zero }: BlockCodes,
  { layout, subColumns, scales, offsets, subScales, minimumFactors }: BlockParameters,
): { readonly tileCodes: TileCodes; readonly factorCodes: (parameter: number) => TileCodes } {
  const tile = { rows: 1, columns: subColumns };
  const zeros = new Float32Array(scales.length);
  const fixed = zero === undefined ? undefined : zeros.slice().fill(zero);
  return {
    tileCodes: { rule, tile, scales, shifts: layout.minimum ? offsets : fixed },
    factorCodes: (parameter) =>
      parameter === 1
        ? { rule, tile, scales: zeros, shifts: minimumFactors }
        : { rule, tile, scales: subScales, shifts: layout.minimum ? zeros : fixed },
  };
}
