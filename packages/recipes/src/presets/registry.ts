import { QuernError } from "@quern/tensor";
import type { QuantizationRecipe } from "../recipe.ts";
import { awqPresets } from "./awq.ts";
import { bitsandbytesPresets } from "./bitsandbytes.ts";
import { compressedTensorsPresets } from "./compressed-tensors.ts";
import { floatPresets } from "./floats.ts";
import { gptqPresets } from "./gptq.ts";
import { mlxPresets } from "./mlx.ts";

/** Every recipe that has a name. */
export const PRESETS: readonly QuantizationRecipe[] = [
  ...gptqPresets,
  ...awqPresets,
  ...bitsandbytesPresets,
  ...compressedTensorsPresets,
  ...floatPresets,
  ...mlxPresets,
];

/** @throws QuernError `RECIPE_UNKNOWN` */
export function presetNamed(name: string): QuantizationRecipe {
  const preset = PRESETS.find((known) => known.name === name);
  if (preset !== undefined) return preset;
  throw new QuernError("RECIPE_UNKNOWN", `there is no recipe "${name}"`, { subject: { key: name } });
}
