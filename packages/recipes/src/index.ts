export { checkRecipe, withParameters } from "./check-recipe.ts";
export { checkContainer, type Container, containerNamed, containerOf, CONTAINERS } from "./containers.ts";
export { describeRecipe } from "./describe-recipe.ts";
export type { RecipeDescription } from "./describe-recipe.ts";
export { presetNamed, PRESETS } from "./presets/registry.ts";
export type { LayerRecipe, QuantizationRecipe, RecipeParameters, Rule, Unfit } from "./recipe.ts";
export { inputsAlong } from "./inputs-along.ts";
export type { InputsAlong } from "./inputs-along.ts";
export { resolveRecipe } from "./resolve-recipe.ts";
export type {
  KeptLayer,
  LayerDecision,
  LinearLayer,
  QuantizedLayer,
  ResolvedRecipe,
  StatisticsNeed,
} from "./resolved.ts";
