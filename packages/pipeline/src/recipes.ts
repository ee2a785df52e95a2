import { QuernError } from "@quern/tensor";
import { findMixture, MIXTURES, STORAGE_FORMATS } from "./mixtures/index.ts";
import type { Flavour, Recipe } from "./recipe.ts";

/** Every recipe, largest types first as far as families allow. */
export function listRecipes(): readonly Recipe[] {
  return MIXTURES.map(({ name, fileType, type, description, bitsPerWeight }) => {
    return { name, fileType, type, flavours: flavoursOf(name), description, bitsPerWeight };
  });
}

/**
 * The recipe of that name, in any case.
 *
 * @throws QuernError `RECIPE_UNKNOWN`
 */
export function findRecipe(name: string): Recipe {
  const mixture = findMixture(name);
  const recipe = listRecipes().find((recipe) => recipe.name === mixture?.name);
  if (recipe !== undefined) return recipe;
  const known = MIXTURES.map((mixture) => mixture.name).join(", ");
  throw new QuernError(
    "RECIPE_UNKNOWN",
    `"${name}" is no type that can be written: expected one of ${known}`,
    {
      subject: { key: "type" },
    },
  );
}

/** The converter's own flavour is the usual one where it stores all matrices alike. */
function flavoursOf(name: string): readonly Flavour[] {
  const format = STORAGE_FORMATS.find(({ type }) => type === name);
  if (format === undefined) return ["quantizer"];
  return format.embeddings === undefined ? ["converter", "quantizer"] : ["quantizer", "converter"];
}
