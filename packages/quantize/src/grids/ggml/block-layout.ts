import type { BitField } from "./bit-fields.ts";
import type { ScaleFormat } from "./scale-formats.ts";

/**
 * A block type of ggml: what its bytes mean. A weight is, in F32, `(d * s) * levels[code] - dmin * m`, where d and dmin belong to a
 * unit, whole numbers s and m to a sub-block of it, and each of the operations is rounded, as ggml dequantizes.
 */
export interface BlockLayout {
  /** As ggml names it. */
  readonly type: string;
  /** Weights of a block. */
  readonly columns: number;
  /** Bytes of a block. */
  readonly bytes: number;
  /** Weights that share d and dmin, a divisor of `columns`. @default all of the block */
  readonly unitColumns?: number;
  /** Weights that share s and m, a power of two. @default those of a unit */
  readonly subColumns?: number;
  /** The integer that a stored code stands for. */
  readonly levels: readonly number[];
  /** Stored codes by weight of the block. */
  readonly codes: readonly BitField[];
  readonly d: ScaleField;
  /** s, by sub-block of the block. @default 1 */
  readonly subScales?: SubScales;
  /** @default none: 0 */
  readonly minimum?: {
    readonly d: ScaleField;
    /** m, by sub-block of the block, or what it is everywhere. */
    readonly sub: SubScales | number;
  };
}

/** d or dmin of the units of a block. */
export interface ScaleField {
  readonly format: ScaleFormat;
  /** First byte, that of the first unit; those of others follow. */
  readonly at: number;
}

/** Whole numbers that multiply d or dmin. */
export interface SubScales {
  readonly fields: readonly BitField[];
  readonly bits: number;
  /** What is subtracted from the stored number. @default 0 */
  readonly bias?: number;
  /** Bits of the stored number that are turned around first (with a bias: numbers in two's complement). @default 0 */
  readonly flip?: number;
}

/** Integers from `least`, one for each of `count` codes. */
export function integers(least: number, count: number): number[] {
  return Array.from({ length: count }, (_, code) => least + code);
}
