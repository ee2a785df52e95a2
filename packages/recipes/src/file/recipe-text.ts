import { stringify } from "yaml";
import type { QuantizationRecipe } from "../recipe.ts";

/** A recipe as a file that can be edited: `parseRecipe` makes the same of it. */
export function recipeText(recipe: QuantizationRecipe): string {
  return stringify(recipe, { lineWidth: 0, aliasDuplicateObjects: false });
}
