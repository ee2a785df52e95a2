import type { Mixture, TensorSite } from "../mixture.ts";

const FFN: ReadonlySet<string> = new Set(["ffnUp", "ffnGate", "ffnDown"]);

/** Merged experts have a third dimension; in BailingMoE 3 so do projections of its attention. */
function isExperts({ ne, model, category }: TensorSite): boolean {
  return (ne[2] ?? 1) > 1 && (model.architecture !== "bailingmoe3" || FFN.has(category));
}

/** 4-bit floats for experts, as gpt-oss is published. */
export const MXFP4_MIXTURES: readonly Mixture[] = [
  {
    name: "MXFP4_MOE",
    fileType: 38,
    description: "4-bit floats for the experts of a mixture-of-experts model, 8 bits for all else",
    bitsPerWeight: 8.5,
    type: "MXFP4",
    output: "Q8_0",
    rules: { any: (site) => (isExperts(site) ? "MXFP4" : "Q8_0") },
  },
];
