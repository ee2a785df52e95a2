import type { SubScales } from "../block-layout.ts";
import { integers, type BlockLayout } from "../block-layout.ts";
import { F16_SCALE } from "../scale-formats.ts";
import { halvesOf } from "./halves.ts";
import { pairsOfBits, singleBits } from "./super-block-bits.ts";

// Super-blocks of 256 weights whose sub-blocks have a scale and a minimum (`block_q2_K`, `block_q4_K`, `block_q5_K` of ggml-common.h).

export const Q2_K: BlockLayout = {
  type: "Q2_K",
  columns: 256,
  bytes: 84,
  subColumns: 16,
  levels: integers(0, 4),
  codes: [pairsOfBits(16)],
  d: { format: F16_SCALE, at: 80 },
  subScales: { bits: 4, fields: [{ bits: 4, byte: (j) => j, shift: () => 0 }] },
  minimum: {
    d: { format: F16_SCALE, at: 82 },
    sub: { bits: 4, fields: [{ bits: 4, byte: (j) => j, shift: () => 4 }] },
  },
};

// 12 bytes: scales 0 to 3 and minimums 0 to 3 in 6 bits each, with the upper two bits of 4 to 7 above them; then the lower four bits of
// 4 to 7, those of scales below.
const SIX_BITS = 4;

const sixBitScales: SubScales = {
  bits: 6,
  fields: [
    { to: 4, bits: 6, byte: (j) => SIX_BITS + j, shift: () => 0 },
    { from: 4, bits: 4, byte: (j) => SIX_BITS + 4 + j, shift: () => 0 },
    { from: 4, bits: 2, place: 4, byte: (j) => SIX_BITS - 4 + j, shift: () => 6 },
  ],
};

const sixBitMinimums: SubScales = {
  bits: 6,
  fields: [
    { to: 4, bits: 6, byte: (j) => SIX_BITS + 4 + j, shift: () => 0 },
    { from: 4, bits: 4, byte: (j) => SIX_BITS + 4 + j, shift: () => 4 },
    { from: 4, bits: 2, place: 4, byte: (j) => SIX_BITS + j, shift: () => 6 },
  ],
};

const eightSubBlocks = {
  columns: 256,
  subColumns: 32,
  d: { format: F16_SCALE, at: 0 },
  subScales: sixBitScales,
  minimum: { d: { format: F16_SCALE, at: 2 }, sub: sixBitMinimums },
};

export const Q4_K: BlockLayout = {
  ...eightSubBlocks,
  type: "Q4_K",
  bytes: 144,
  levels: integers(0, 16),
  codes: [halvesOf(16, 32)],
};

export const Q5_K: BlockLayout = {
  ...eightSubBlocks,
  type: "Q5_K",
  bytes: 176,
  levels: integers(0, 32),
  codes: [halvesOf(48, 32), singleBits(16, 4)],
};
