export { parseRecipe } from "./parse-recipe.ts";
export { recipeText } from "./recipe-text.ts";
export { recipeSchema } from "./schema.ts";
