import type { CodeRule } from "@quern/kernels";
import type { ScaleStore } from "../scale-store.ts";

/** What numbers are between. */
export interface Range {
  readonly low: number;
  readonly high: number;
}

/** What the codes of a tile have in common. */
export interface TileParameters {
  /** Positive. */
  readonly scale: number;
  /** The code of 0, or the value of code 0; see `Code.shift`. */
  readonly shift: number;
}

/** Which numbers the codes 0 to 2^bits - 1 mean, given the parameters of their tile. */
export interface Code {
  readonly bits: number;
  /**
   * What `shift` is: "none" (0: codes mean multiples of the scale by `values`), "fixed" (the code of 0, the same in all tiles), "zero" (the
   * code of 0, by tile), "offset" (the value of code 0, by tile).
   */
  readonly shift: "none" | "fixed" | "zero" | "offset";
  /** By code, what the scale is multiplied with. */
  readonly values?: Float32Array;
  /** The same as `encode` and `decode`, for kernels. */
  readonly rule?: CodeRule | undefined;
  /** The scale at which codes span the numbers from `low` to `high`; 0 alone is fine. Rounded to what can be stored. */
  scaleFor(low: number, high: number, store: ScaleStore): number;
  /** The shift that belongs to it, rounded likewise. */
  shiftFrom(low: number, scale: number): number;
  /** The shift that comes nearest to a value of code 0; only where there is one by tile. */
  shiftFor?(offset: number, scale: number): number;
  /** The code of the nearest value. */
  encode(value: number, scale: number, shift: number): number;
  /** The value, in F32. */
  decode(code: number, scale: number, shift: number): number;
  /** The code of the next larger or smaller value; the same code where there is none. */
  neighbour(code: number, up: boolean): number;
}

/** Parameters at which codes span a range. */
export function parametersFor(code: Code, { low, high }: Range, store: ScaleStore): TileParameters {
  const scale = code.scaleFor(low, high, store);
  return { scale, shift: code.shiftFrom(low, scale) };
}
