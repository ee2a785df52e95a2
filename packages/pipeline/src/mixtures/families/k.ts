import type { Mixture } from "../mixture.ts";
import {
  exceptInFalcon,
  isFalcon,
  isInFirst,
  isSensitive,
  USUAL,
  usualWithOutputs,
  whereHeadsAreShared,
  whereSensitive,
} from "../rules.ts";

/** Blocks of 256 with scales that are quantized themselves; S, M and L give more bits to more of the tensors. */
export const K_MIXTURES: readonly Mixture[] = [
  {
    name: "Q2_K",
    fileType: 10,
    description: "2 bits, with 3 where they matter most; the smallest without importance weights",
    bitsPerWeight: 3.16,
    type: "Q2_K",
    rules: {
      attentionValue: whereHeadsAreShared("Q4_K", "Q3_K"),
      attentionOutput: exceptInFalcon("Q3_K"),
      ffnDown: "Q3_K",
    },
    ...usualWithOutputs("Q5_K"),
  },
  {
    name: "Q2_K_S",
    fileType: 21,
    description: "2 bits nearly everywhere; needs importance weights",
    bitsPerWeight: 2.97,
    type: "Q2_K",
    rules: {
      attentionValue: whereHeadsAreShared("Q4_K"),
      ffnDown: (site) => (isInFirst(8, site) ? "Q4_K" : undefined),
    },
    needImportance: ["Q2_K"],
    ...USUAL,
  },
  {
    name: "Q3_K_S",
    fileType: 11,
    description: "3 bits everywhere",
    bitsPerWeight: 3.64,
    type: "Q3_K",
    ...usualWithOutputs("Q5_K"),
  },
  {
    name: "Q3_K_M",
    fileType: 12,
    description: "3 bits, with 4 and 5 for attention values, attention outputs and FFN down",
    bitsPerWeight: 4,
    type: "Q3_K",
    rules: {
      attentionValue: ({ position }) => (position < 2 ? "Q5_K" : "Q4_K"),
      attentionOutput: exceptInFalcon("Q4_K"),
      ffnDown: (site) => {
        if (isInFirst(16, site)) return "Q5_K";
        return isFalcon(site) && !isSensitive(site) ? undefined : "Q4_K";
      },
    },
    ...usualWithOutputs("Q5_K"),
  },
  {
    name: "Q3_K_L",
    fileType: 13,
    description: "3 bits, with 5 for attention values, attention outputs and FFN down",
    bitsPerWeight: 4.3,
    type: "Q3_K",
    rules: {
      attentionValue: "Q5_K",
      attentionOutput: (site) => (isFalcon(site) ? "Q4_K" : "Q5_K"),
      ffnDown: (site) => (isFalcon(site) ? "Q4_K" : "Q5_K"),
    },
    ...usualWithOutputs("Q3_K"),
  },
  {
    name: "Q4_K_S",
    fileType: 14,
    description: "4 bits, with 5 in the first layers",
    bitsPerWeight: 4.67,
    type: "Q4_K",
    rules: {
      attentionValue: ({ position }) => (position < 4 ? "Q5_K" : undefined),
      ffnDown: (site) => (!isFalcon(site) && isInFirst(8, site) ? "Q5_K" : undefined),
    },
    ...usualWithOutputs("Q5_K"),
  },
  {
    name: "Q4_K_M",
    fileType: 15,
    description: "4 bits, with 6 for half of attention values and FFN down; the usual choice",
    bitsPerWeight: 4.89,
    type: "Q4_K",
    rules: {
      attentionValue: whereSensitive("Q6_K"),
      ffnDown: (site) => {
        if (!isFalcon(site)) return isSensitive(site) ? "Q6_K" : undefined;
        if (isInFirst(16, site)) return "Q6_K";
        return isSensitive(site) ? "Q5_K" : undefined;
      },
    },
    ...usualWithOutputs("Q5_K"),
  },
  {
    name: "Q5_K_S",
    fileType: 16,
    description: "5 bits everywhere",
    bitsPerWeight: 5.57,
    type: "Q5_K",
    ...USUAL,
  },
  {
    name: "Q5_K_M",
    fileType: 17,
    description: "5 bits, with 6 for half of attention values and FFN down",
    bitsPerWeight: 5.7,
    type: "Q5_K",
    rules: { attentionValue: whereSensitive("Q6_K"), ffnDown: whereSensitive("Q6_K") },
    ...USUAL,
  },
  {
    name: "Q6_K",
    fileType: 18,
    description: "6 bits everywhere; hardly any loss",
    bitsPerWeight: 6.56,
    type: "Q6_K",
    ...USUAL,
  },
];
