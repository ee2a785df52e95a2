import type { Mixture } from "../mixture.ts";
import { USUAL } from "../rules.ts";

/** Codes of one and two bits for models that were trained for them. */
export const TERNARY_MIXTURES: readonly Mixture[] = [
  {
    name: "TQ1_0",
    fileType: 36,
    description: "1.7 bits for models with ternary weights",
    bitsPerWeight: 2.19,
    type: "TQ1_0",
    rules: { tokenEmbedding: "Q4_K" },
    ...USUAL,
  },
  {
    name: "TQ2_0",
    fileType: 37,
    description: "2.1 bits for models with ternary weights; faster than TQ1_0",
    bitsPerWeight: 2.52,
    type: "TQ2_0",
    rules: { tokenEmbedding: "Q4_K" },
    ...USUAL,
  },
  {
    name: "Q1_0",
    fileType: 40,
    description: "1.1 bits for models with binary weights; rows must be multiples of 128",
    bitsPerWeight: 1.48,
    type: "Q1_0",
    ...USUAL,
  },
  {
    name: "Q2_0",
    fileType: 41,
    description: "2.25 bits in blocks of 64, for models with ternary weights",
    bitsPerWeight: 2.68,
    type: "Q2_0",
    rules: { tokenEmbedding: "Q4_K" },
    ...USUAL,
  },
];
