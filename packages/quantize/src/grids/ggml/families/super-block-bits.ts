import type { BitField } from "../bit-fields.ts";

/** Two bits of 256 codes: a byte has those of weights i, i + 32, i + 64 and i + 96 of a half of the block, lowest bits first. */
export function pairsOfBits(at: number, place = 0): BitField {
  return {
    bits: 2,
    place,
    byte: (i) => at + (i >> 7) * 32 + (i & 31),
    shift: (i) => 2 * ((i >> 5) & 3),
  };
}

/** One bit of 256 codes: bit j of byte i is that of weight 32 j + i. */
export function singleBits(at: number, place: number): BitField {
  return { bits: 1, place, byte: (i) => at + (i & 31), shift: (i) => i >> 5 };
}
