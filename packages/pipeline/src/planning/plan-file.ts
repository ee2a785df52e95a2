import { QuernError } from "@quern/tensor";
import type { ModelSource } from "../plan.ts";
import type { Flavour, Recipe } from "../recipe.ts";
import { findRecipe } from "../recipes.ts";
import { isGguf } from "@quern/models";
import type { FileContents, FileParams } from "./file-contents.ts";
import { converterAutoType } from "./float-type.ts";
import { planConverterFile } from "./plan-converter-file.ts";
import { planQuantizerFile } from "./plan-quantizer-file.ts";

/** What a request asks for: a recipe, in a flavour. @throws as `planConversion` */
export function resolveRequest({ request, source, rounding }: Omit<FileParams, "model">): {
  readonly recipe: Recipe;
  readonly flavour: Flavour;
} {
  const recipe = findRecipe(request.type.toLowerCase() === "auto" ? autoType(source) : request.type);
  const flavours = isGguf(source) ? recipe.flavours.filter((one) => one === "quantizer") : recipe.flavours;
  const flavour = request.flavour ?? (rounding === undefined ? flavours[0]! : "quantizer");
  if (!flavours.includes(flavour)) {
    const kind = isGguf(source) ? "GGUF cannot be written" : `${recipe.name} cannot be written`;
    throw new QuernError("RECIPE_FLAVOUR", `${kind} as by the ${flavour}`, { subject: { key: "flavour" } });
  }
  if (flavour === "converter" && rounding !== undefined) {
    throw new QuernError(
      "RECIPE_FLAVOUR",
      `${rounding} rounds what the quantizer writes; the converter rounds every weight by itself`,
      { subject: { key: "flavour" } },
    );
  }
  return { recipe, flavour };
}

/** Plans one output. @throws as `planConversion` */
export function planFile(params: FileParams): FileContents {
  const { recipe, flavour } = resolveRequest(params);
  const plan = flavour === "converter" ? planConverterFile : planQuantizerFile;
  return plan(params, recipe);
}

function autoType(source: ModelSource): string {
  if (!isGguf(source)) return converterAutoType(source.tensors.values());
  throw new QuernError(
    "RECIPE_OPTION",
    '"auto" is the type of a checkpoint\'s weights, and this is GGUF: expected a type, or "COPY" to keep them',
    { subject: { key: "type" } },
  );
}
