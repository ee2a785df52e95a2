import type { Mixture, TypeRule } from "../mixture.ts";
import {
  exceptInFalcon,
  hasSharedHeads,
  isInFirst,
  isSensitive,
  usualWithOutputs,
  whereHeadsAreShared,
} from "../rules.ts";

const inMiddleLayers: TypeRule = ({ layer, layers }) =>
  layer >= Math.floor(layers / 8) && layer < Math.floor((7 * layers) / 8) ? "IQ3_XXS" : undefined;

const inFirstLayersWithoutImportance: TypeRule = (site) =>
  !site.hasImportance && isInFirst(8, site) ? "Q5_K" : undefined;

/** Codes of 3 and 4 bits that look values up in a table. */
export const IQ3_IQ4_MIXTURES: readonly Mixture[] = [
  {
    name: "IQ3_XXS",
    fileType: 23,
    description: "3.1 bits from a table, with 2.5 for attention keys and queries; needs importance weights",
    bitsPerWeight: 3.25,
    type: "IQ3_XXS",
    output: "Q5_K",
    rules: {
      tokenEmbedding: "IQ3_S",
      attentionValue: (site) => {
        if (hasSharedHeads(site)) return "Q4_K";
        return site.hasImportance ? "IQ3_XXS" : "IQ3_S";
      },
      attentionKey: "IQ2_S",
      attentionQuery: "IQ2_S",
      attentionOutput: exceptInFalcon("IQ3_S"),
      ffnDown: (site) => {
        if (site.hasImportance) return undefined;
        return isInFirst(8, site) ? "Q4_K" : "Q3_K";
      },
    },
    ...usualWithOutputs("Q5_K"),
  },
  {
    name: "IQ3_XS",
    fileType: 22,
    description: "3.4 bits from a table, with 3.1 for much of attention and FFN; needs importance weights",
    bitsPerWeight: 3.5,
    type: "IQ3_S",
    rules: {
      attentionValue: whereHeadsAreShared("Q4_K"),
      attentionKey: "IQ3_XXS",
      attentionQuery: "IQ3_XXS",
      ffnGate: inMiddleLayers,
      ffnUp: inMiddleLayers,
    },
    ...usualWithOutputs("Q5_K"),
  },
  {
    name: "IQ3_S",
    fileType: 26,
    description: "3.4 bits from a table everywhere",
    bitsPerWeight: 3.66,
    type: "IQ3_S",
    rules: { attentionValue: whereHeadsAreShared("Q4_K") },
    ...usualWithOutputs("Q5_K"),
  },
  {
    name: "IQ3_M",
    fileType: 27,
    description: "3.4 bits from a table, with 4 for attention values, attention outputs and the first layers",
    bitsPerWeight: 3.76,
    type: "IQ3_S",
    rules: {
      attentionValue: "Q4_K",
      attentionOutput: exceptInFalcon("Q4_K"),
      ffnDown: (site) =>
        isInFirst(8, site) || (site.model.experts === 8 && isSensitive(site)) ? "Q4_K" : undefined,
    },
    ...usualWithOutputs("Q5_K"),
  },
  {
    name: "IQ4_NL",
    fileType: 25,
    description: "4.5 bits from a table in blocks of 32: rows need not be multiples of 256",
    bitsPerWeight: 4.68,
    type: "IQ4_NL",
    rules: { attentionValue: whereHeadsAreShared("Q5_K"), ffnDown: inFirstLayersWithoutImportance },
    ...usualWithOutputs("Q5_K"),
  },
  {
    name: "IQ4_XS",
    fileType: 30,
    description: "4.25 bits from a table; smaller than Q4_K_S",
    bitsPerWeight: 4.46,
    type: "IQ4_XS",
    rules: { attentionValue: whereHeadsAreShared("Q5_K"), ffnDown: inFirstLayersWithoutImportance },
    ...usualWithOutputs("Q5_K"),
  },
];
