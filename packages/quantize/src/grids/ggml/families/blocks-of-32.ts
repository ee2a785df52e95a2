import type { BitField } from "../bit-fields.ts";
import { integers, type BlockLayout } from "../block-layout.ts";
import { F16_SCALE } from "../scale-formats.ts";
import { halvesOf } from "./halves.ts";

// Blocks of 32 weights with F16 d, and F16 m that is added (`block_q4_0` to `block_q8_0` of ggml-common.h). Fifth bits are bits of a
// 32-bit number.

const d = { format: F16_SCALE, at: 0 };
const added = { d: { format: F16_SCALE, at: 2 }, sub: -1 };

const fifthBits = (at: number): BitField => ({
  bits: 1,
  place: 4,
  byte: (i) => at + (i >> 3),
  shift: (i) => i & 7,
});

export const Q4_0: BlockLayout = {
  type: "Q4_0",
  columns: 32,
  bytes: 18,
  levels: integers(-8, 16),
  codes: [halvesOf(2, 16)],
  d,
};

export const Q4_1: BlockLayout = {
  type: "Q4_1",
  columns: 32,
  bytes: 20,
  levels: integers(0, 16),
  codes: [halvesOf(4, 16)],
  d,
  minimum: added,
};

export const Q5_0: BlockLayout = {
  type: "Q5_0",
  columns: 32,
  bytes: 22,
  levels: integers(-16, 32),
  codes: [halvesOf(6, 16), fifthBits(2)],
  d,
};

export const Q5_1: BlockLayout = {
  type: "Q5_1",
  columns: 32,
  bytes: 24,
  levels: integers(0, 32),
  codes: [halvesOf(8, 16), fifthBits(4)],
  d,
  minimum: added,
};

export const Q8_0: BlockLayout = {
  type: "Q8_0",
  columns: 32,
  bytes: 34,
  levels: [...integers(0, 128), ...integers(-128, 128)],
  codes: [{ bits: 8, byte: (i) => 2 + i, shift: () => 0 }],
  d,
};
