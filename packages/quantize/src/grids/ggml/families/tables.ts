import type { BlockLayout } from "../block-layout.ts";
import { F16_SCALE, HALF_E8M0_SCALE, HALF_UE4M3_SCALE } from "../scale-formats.ts";
import { halvesOf } from "./halves.ts";

// Types whose codes are indices of tables (`kvalues_iq4nl` and `kvalues_mxfp4`, `block_iq4_nl` to `block_nvfp4` of ggml-common.h).

const NON_LINEAR = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/** E2M1, doubled. */
const FP4 = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

export const IQ4_NL: BlockLayout = {
  type: "IQ4_NL",
  columns: 32,
  bytes: 18,
  levels: NON_LINEAR,
  codes: [halvesOf(2, 16)],
  d: { format: F16_SCALE, at: 0 },
};

export const IQ4_XS: BlockLayout = {
  type: "IQ4_XS",
  columns: 256,
  bytes: 136,
  subColumns: 32,
  levels: NON_LINEAR,
  codes: [halvesOf(8, 16)],
  d: { format: F16_SCALE, at: 0 },
  subScales: {
    bits: 6,
    bias: 32,
    fields: [
      { bits: 4, byte: (j) => 4 + (j >> 1), shift: (j) => 4 * (j & 1) },
      { bits: 2, place: 4, byte: (j) => 2 + (j >> 2), shift: (j) => 2 * (j & 3) },
    ],
  },
};

export const MXFP4: BlockLayout = {
  type: "MXFP4",
  columns: 32,
  bytes: 17,
  levels: FP4,
  codes: [halvesOf(1, 16)],
  d: { format: HALF_E8M0_SCALE, at: 0 },
};

export const NVFP4: BlockLayout = {
  type: "NVFP4",
  columns: 64,
  bytes: 36,
  unitColumns: 16,
  levels: FP4,
  codes: [halvesOf(4, 8)],
  d: { format: HALF_UE4M3_SCALE, at: 0 },
};
