import { IQ1_IQ2_MIXTURES } from "./families/iq1-iq2.ts";
import { IQ3_IQ4_MIXTURES } from "./families/iq3-iq4.ts";
import { K_MIXTURES } from "./families/k.ts";
import { LEGACY_MIXTURES } from "./families/legacy.ts";
import { MXFP4_MIXTURES } from "./families/mxfp4.ts";
import { PLAIN_MIXTURES } from "./families/plain.ts";
import { TERNARY_MIXTURES } from "./families/ternary.ts";
import type { Mixture } from "./mixture.ts";

/** Every mixture of `llama-quantize`, by family. */
export const MIXTURES: readonly Mixture[] = [
  ...PLAIN_MIXTURES,
  ...LEGACY_MIXTURES,
  ...K_MIXTURES,
  ...IQ3_IQ4_MIXTURES,
  ...IQ1_IQ2_MIXTURES,
  ...TERNARY_MIXTURES,
  ...MXFP4_MIXTURES,
];

/** Short names that `llama-quantize` takes for the middle one of a family. */
const ALIASES: Readonly<Record<string, string>> = { Q3_K: "Q3_K_M", Q4_K: "Q4_K_M", Q5_K: "Q5_K_M" };

/** The mixture of that name, in any case; "Q4_K" is "Q4_K_M". */
export function findMixture(name: string): Mixture | undefined {
  const upper = name.toUpperCase();
  const full = ALIASES[upper] ?? upper;
  return MIXTURES.find((mixture) => mixture.name === full);
}
