import type { Mixture, TensorSite, TypeRule } from "./mixture.ts";

/** What most mixtures do with models of eight experts, and with attention values of 70B models. */
export const USUAL: Pick<Mixture, "eightExperts" | "largeModelValues"> = {
  eightExperts: { attentionValue: "Q8_0", attentionKey: "Q8_0" },
  largeModelValues: { Q3_K: "Q5_K", Q4_K: "Q5_K" },
};

/** {@link USUAL}, with another type for attention outputs in models of eight experts. */
export function usualWithOutputs(
  attentionOutput: string,
): Pick<Mixture, "eightExperts" | "largeModelValues"> {
  return { ...USUAL, eightExperts: { ...USUAL.eightExperts, attentionOutput } };
}

/** Whether four or more query heads share a key head: their values are few, so more bits for them cost little. */
export function hasSharedHeads({ model }: TensorSite): boolean {
  return model.headsPerGroup >= 4;
}

export function whereHeadsAreShared(type: string, otherwise?: string): TypeRule {
  return (site) => (hasSharedHeads(site) ? type : otherwise);
}

export function isFalcon({ model }: TensorSite): boolean {
  return model.architecture === "falcon";
}

export function exceptInFalcon(type: string): TypeRule {
  return (site) => (isFalcon(site) ? undefined : type);
}

/** Whether the tensor is in the first 1 / `divisor` of the layers. */
export function isInFirst(divisor: number, { layer, layers }: TensorSite): boolean {
  return layer < Math.floor(layers / divisor);
}

/** The layers that get more bits: the first and last eighth, and every third between. */
export function isSensitive({ layer, layers }: TensorSite): boolean {
  const eighth = Math.floor(layers / 8);
  return layer < eighth || layer >= Math.floor((7 * layers) / 8) || (layer - eighth) % 3 === 2;
}

export function whereSensitive(type: string): TypeRule {
  return (site) => (isSensitive(site) ? type : undefined);
}
