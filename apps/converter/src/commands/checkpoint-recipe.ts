import { checkContainer, containerNamed, type QuantizationRecipe, withParameters } from "@quern/recipes";
import type { CheckpointOptions } from "./checkpoint-options.ts";
import { readRecipe } from "./read-recipe.ts";

/**
 * The recipe that options ask for.
 *
 * @param params.cwd Folder of relative paths.
 * @throws QuernError `RECIPE_*`
 */
export async function checkpointRecipe(params: {
  options: CheckpointOptions;
  cwd: string;
}): Promise<QuantizationRecipe> {
  const { options, cwd } = params;
  const container = options.to === undefined ? undefined : containerNamed(options.to);
  const recipe = await readRecipe({ recipe: options.recipe ?? container!.recipe, cwd });
  if (container !== undefined) checkContainer(recipe, container);
  return withParameters(recipe, {
    ...(options.bits === undefined ? {} : { bits: options.bits }),
    ...(options.groupSize === undefined ? {} : { groupSize: options.groupSize }),
  });
}
