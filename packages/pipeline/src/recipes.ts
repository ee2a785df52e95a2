import { QuernError } from "@quern/tensor";
import { findMixture, MIXTURES, STORAGE_FORMATS } from "./mixtures/index.ts";
import type { Flavour, Recipe } from "./recipe.ts";

/** Keeps every tensor as it is, in a file that is else as `llama-quantize` writes it. */
const COPY: Recipe = {
  name: "COPY",
  flavours: ["quantizer"],
  description: "every tensor as it is; with layers left out, other metadata or in one file",
};

/** Every recipe, largest types first as far as families allow. */
export function listRecipes(): readonly Recipe[] {
  const quantized = MIXTURES.map(({ name, fileType, type, description, bitsPerWeight }): Recipe => {
    return { name, fileType, type, flavours: flavoursOf(name), description, bitsPerWeight };
  });
  return [...quantized, COPY];
}

/**
 * The recipe of that name, in any case.
 *
 * @throws QuernError `RECIPE_UNKNOWN`
 */
export function findRecipe(name: string): Recipe {
  const full = findMixture(name)?.name ?? name.toUpperCase();
  const recipes = listRecipes();
  const recipe = recipes.find((one) => one.name === full);
  if (recipe !== undefined) return recipe;
  const known = recipes.map((one) => one.name).join(", ");
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
