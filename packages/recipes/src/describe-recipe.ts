import { compatibility, formatOf, LOADERS, type Loader } from "@quern/checkpoints";
import { byteSize } from "@quern/tensor";
import { containerOf } from "./containers.ts";
import { layerParameters } from "./layer-parameters.ts";
import type { QuantizationRecipe } from "./recipe.ts";
import type { StatisticsNeed } from "./resolved.ts";
import { layerNeed, mostOf, transformNeed } from "./statistics-need.ts";
import { withRule } from "./resolve-recipe.ts";

/** A layer as they are in models of 7 or 8 billion parameters. */
const USUAL_SHAPE = { rows: 4096, columns: 4096 } as const;

/** What a recipe makes and takes, without a model. */
export interface RecipeDescription {
  readonly name: string;
  readonly description: string;
  /** Name of its container. */
  readonly container: string;
  readonly format: string;
  /** Of a layer of 4096 x 4096 that no rule is about, scales and all. */
  readonly bitsPerWeight: number;
  readonly statistics: StatisticsNeed;
  /** Programs that load such layers. */
  readonly loaders: readonly Loader[];
}

/** @throws QuernError `RECIPE_INVALID`, and what `formatOf` and members of the axes throw, for a recipe that `checkRecipe` refuses */
export function describeRecipe(recipe: QuantizationRecipe): RecipeDescription {
  const { name, description, format, transforms = [], rules = [] } = recipe;
  const parameters = layerParameters(recipe.parameters, "BF16");
  const bytes = formatOf(format)
    .parts({ ...USUAL_SHAPE, parameters })
    .reduce((sum, part) => sum + byteSize(part), 0);
  const layers = [recipe, ...rules.filter(({ keep }) => !keep).map((rule) => withRule(recipe, rule))];
  return {
    name,
    description,
    container: containerOf(recipe).name,
    format,
    bitsPerWeight: (bytes * 8) / (USUAL_SHAPE.rows * USUAL_SHAPE.columns),
    statistics: mostOf([...layers.map(layerNeed), ...transforms.map(transformNeed)]),
    loaders: LOADERS.filter(
      (loader) => compatibility({ format, parameters, loader, shape: USUAL_SHAPE }).length === 0,
    ),
  };
}
