import type { Checkpoint } from "@quern/checkpoints";
import type { CheckpointOrigin } from "@quern/manifest";
import { resolveRecipe } from "@quern/recipes";
import { parseRecipe } from "@quern/recipes/file";
import { openLayeredModel } from "../linear-layers.ts";
import type { CheckpointPlan, PlanCheckpointParams } from "../plan.ts";
import { planCheckpoint } from "./plan-checkpoint.ts";

/**
 * Plans a quantized checkpoint once more from what is said of its origin. Its place is not checked: whoever has asked for it first has done that.
 *
 * @throws QuernError the codes of `parseRecipe`, `openLayeredModel`, `resolveRecipe` and `planCheckpoint`
 */
export async function planCheckpointAgain(
  params: Pick<PlanCheckpointParams, "statistics" | "memory" | "threads" | "backend" | "baseModel"> & {
    readonly origin: CheckpointOrigin;
    readonly source: Checkpoint;
    readonly folder: string;
  },
): Promise<CheckpointPlan> {
  const { origin, source, folder: output, ...rest } = params;
  const { tool, recipe: recorded, calibration } = origin;
  const recipe = parseRecipe({ text: JSON.stringify(recorded.recipe), file: "the recipe of the manifest" });
  const model = await openLayeredModel(source, recipe);
  const { maxShardSize } = recorded;
  return planCheckpoint({
    ...rest,
    model,
    recipe: resolveRecipe(recipe, model.linears, model),
    recipeName: recipe.name,
    output,
    checkPlaces: false,
    tool: `${tool.name} ${tool.version}`,
    provenance: {
      tool,
      recipe: recorded.recipe,
      source: origin.source,
      ...(calibration && { calibration }),
    },
    ...(maxShardSize === undefined ? {} : { maxShardSize }),
  });
}
