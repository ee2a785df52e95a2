import type { Mixture, TensorSite, TypeRules } from "../mixture.ts";

/**
 * The rules that all of these share.
 *
 * @param better Type for attention values, and for FFN down in the first eighth of the layers.
 */
function rules(params: { better: string; tokenEmbedding: string; attentionOutput?: string }): TypeRules {
  const { better, tokenEmbedding, attentionOutput } = params;
  return {
    tokenEmbedding,
    attentionValue: ({ model }: TensorSite) =>
      model.headsPerGroup >= 4 || model.experts >= 4 ? "Q4_K" : better,
    // By position even in models with experts, unlike the other mixtures.
    ffnDown: ({ position, layers }: TensorSite) => (position < Math.floor(layers / 8) ? better : undefined),
    ...(attentionOutput === undefined ? {} : { attentionOutput }),
  };
}

const COMMON = {
  output: "Q5_K",
  eightExperts: { attentionKey: "Q4_K", attentionOutput: "Q5_K" },
} satisfies Partial<Mixture>;

/** Codes of 1 and 2 bits that look groups of values up in a table; all need importance weights. */
export const IQ1_IQ2_MIXTURES: readonly Mixture[] = [
  {
    name: "IQ1_S",
    fileType: 24,
    description: "1.6 bits from a table; needs importance weights",
    bitsPerWeight: 2,
    type: "IQ1_S",
    rules: rules({ better: "Q2_K", tokenEmbedding: "Q2_K", attentionOutput: "IQ2_XXS" }),
    ...COMMON,
  },
  {
    name: "IQ1_M",
    fileType: 31,
    description: "1.75 bits from a table; needs importance weights",
    bitsPerWeight: 2.15,
    type: "IQ1_M",
    rules: rules({ better: "Q2_K", tokenEmbedding: "Q2_K", attentionOutput: "IQ2_XXS" }),
    ...COMMON,
  },
  {
    name: "IQ2_XXS",
    fileType: 19,
    description: "2.1 bits from a table; needs importance weights",
    bitsPerWeight: 2.38,
    type: "IQ2_XXS",
    rules: rules({ better: "Q2_K", tokenEmbedding: "Q2_K" }),
    ...COMMON,
  },
  {
    name: "IQ2_XS",
    fileType: 20,
    description: "2.3 bits from a table; needs importance weights",
    bitsPerWeight: 2.59,
    type: "IQ2_XS",
    rules: rules({ better: "Q2_K", tokenEmbedding: "Q2_K" }),
    ...COMMON,
  },
  {
    name: "IQ2_S",
    fileType: 28,
    description: "2.3 bits from a table, with 3.4 where they matter most; needs importance weights",
    bitsPerWeight: 2.74,
    type: "IQ2_XS",
    rules: rules({ better: "IQ3_S", tokenEmbedding: "IQ3_S", attentionOutput: "IQ3_S" }),
    ...COMMON,
  },
  {
    name: "IQ2_M",
    fileType: 29,
    description: "2.5 bits from a table, with 3.4 where they matter most; needs importance weights",
    bitsPerWeight: 2.93,
    type: "IQ2_S",
    rules: rules({ better: "IQ3_S", tokenEmbedding: "IQ3_S", attentionOutput: "IQ3_S" }),
    ...COMMON,
  },
];
