import type { Mixture } from "../mixture.ts";

/** Floating-point types: every matrix alike, no rules. */
export const PLAIN_MIXTURES: readonly Mixture[] = [
  {
    name: "F32",
    fileType: 0,
    description: "32-bit floats; nothing is lost",
    bitsPerWeight: 32,
    type: "F32",
  },
  {
    name: "F16",
    fileType: 1,
    description: "16-bit floats with more precision than BF16, and less range",
    bitsPerWeight: 16,
    type: "F16",
  },
  {
    name: "BF16",
    fileType: 32,
    description: "16-bit floats with the range of 32 bits, as most models are published",
    bitsPerWeight: 16,
    type: "BF16",
  },
];
