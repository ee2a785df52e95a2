import { modelCompatibility } from "@quern/checkpoints";
import type { Kernels } from "@quern/kernels";
import type { QuantizedLayer } from "@quern/recipes";
import { QuernError } from "@quern/tensor";
import { listNames } from "../../name-list.ts";
import type { LayeredModel } from "../linear-layers.ts";
import type { PlanCheckpointParams } from "../plan.ts";
import { type CheckedLinear, checkLinear } from "./plan-linear.ts";

/** Reasons that a message has room for. */
const REASONS = 3;

/**
 * The layers that a recipe quantizes.
 *
 * @throws QuernError `PLAN_LAYER_UNKNOWN` for a decision about a layer that the model lacks, and the codes of `checkLinear`
 */
export function checkedLayers({ model, recipe }: PlanCheckpointParams, kernels: Kernels): CheckedLinear[] {
  const linears = new Map(model.linears.map((linear) => [linear.module, linear]));
  return recipe.decisions.flatMap((decision): CheckedLinear[] => {
    const linear = linears.get(decision.module);
    if (linear === undefined) {
      throw new QuernError("PLAN_LAYER_UNKNOWN", `"${decision.module}" is no linear layer of the model`, {
        subject: { tensor: decision.module },
      });
    }
    if (decision.keep === true) return [];
    return [
      checkLinear(linear, decision satisfies QuantizedLayer, {
        kernels,
        channels: recipe.statistics !== "none",
      }),
    ];
  });
}

/**
 * Weights that stay as they are although they are those of linear layers.
 *
 * @throws QuernError `PLAN_NO_LAYERS` where nothing else is left to quantize
 */
export function unfitWarnings({ unfit }: LayeredModel, layers: number): QuernError[] {
  if (unfit.length === 0) return [];
  const reasons = [...new Set(unfit.map(({ reason }) => reason))];
  const names = unfit.map(({ tensor }) => tensor);
  const what = `${listNames(names, REASONS)} (${reasons.join("; ")})`;
  if (layers === 0) {
    throw new QuernError(
      "PLAN_NO_LAYERS",
      `there is nothing to quantize: no format of checkpoints has a place for ${what}; GGUF does`,
      { subject: { tensor: names[0]! } },
    );
  }
  return [
    new QuernError(
      "PLAN_WEIGHTS_LEFT",
      `${names.length} tensors of weights stay as they are, as no format of checkpoints has a place for them: ${what}`,
    ),
  ];
}

/**
 * Checks that what was asked to load the result can do so.
 *
 * @throws QuernError `PLAN_INCOMPATIBLE`
 */
export function checkLoaders(
  { loaders = [] }: PlanCheckpointParams,
  layers: Parameters<typeof modelCompatibility>[0]["layers"],
  linears: readonly string[],
): void {
  const reasons = loaders.flatMap((loader) => modelCompatibility({ layers, linears, loader }));
  if (reasons.length === 0) return;
  throw new QuernError("PLAN_INCOMPATIBLE", listNames([...new Set(reasons)], REASONS));
}
