import { integers, type BlockLayout } from "../block-layout.ts";
import { F16_SCALE } from "../scale-formats.ts";
import { halvesOf } from "./halves.ts";
import { pairsOfBits, singleBits } from "./super-block-bits.ts";

// Super-blocks of 256 weights whose sub-blocks have a signed scale (`block_q3_K` and `block_q6_K` of ggml-common.h).

export const Q3_K: BlockLayout = {
  type: "Q3_K",
  columns: 256,
  bytes: 110,
  subColumns: 16,
  levels: integers(-4, 8),
  codes: [pairsOfBits(32), singleBits(0, 2)],
  d: { format: F16_SCALE, at: 108 },
  subScales: {
    bits: 6,
    bias: 32,
    fields: [
      { bits: 4, byte: (j) => 96 + (j & 7), shift: (j) => 4 * (j >> 3) },
      { bits: 2, place: 4, byte: (j) => 104 + (j & 3), shift: (j) => 2 * (j >> 2) },
    ],
  },
};

export const Q6_K: BlockLayout = {
  type: "Q6_K",
  columns: 256,
  bytes: 210,
  subColumns: 16,
  levels: integers(-32, 64),
  codes: [halvesOf(0, 64), pairsOfBits(128, 4)],
  d: { format: F16_SCALE, at: 208 },
  subScales: {
    bits: 8,
    bias: 128,
    flip: 128,
    fields: [{ bits: 8, byte: (j) => 192 + j, shift: () => 0 }],
  },
};
