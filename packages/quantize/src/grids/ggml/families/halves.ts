import type { BitField } from "../bit-fields.ts";

/** Codes of 4 bits: of `2 * width` weights, the first `width` are in the lower halves of as many bytes, the others in the upper. */
export function halvesOf(at: number, width: number): BitField {
  return {
    bits: 4,
    byte: (i) => at + Math.floor(i / (2 * width)) * width + (i % width),
    shift: (i) => 4 * (Math.floor(i / width) % 2),
  };
}
