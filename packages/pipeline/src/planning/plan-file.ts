import { QuernError } from "@quern/tensor";
import type { ModelSource } from "../plan.ts";
import { findRecipe } from "../recipes.ts";
import { isGguf } from "@quern/models";
import type { FileContents, FileParams } from "./file-contents.ts";
import { converterAutoType } from "./float-type.ts";
import { planConverterFile } from "./plan-converter-file.ts";
import { planQuantizerFile } from "./plan-quantizer-file.ts";

/** Plans one output. @throws as `planConversion` */
export function planFile(params: FileParams): FileContents {
  const { request, source } = params;
  const recipe = findRecipe(request.type.toLowerCase() === "auto" ? autoType(source) : request.type);
  const flavours = isGguf(source) ? recipe.flavours.filter((one) => one === "quantizer") : recipe.flavours;
  const flavour = request.flavour ?? (params.rounding === undefined ? flavours[0]! : "quantizer");
  if (!flavours.includes(flavour)) {
    const kind = isGguf(source) ? "GGUF cannot be written" : `${recipe.name} cannot be written`;
    throw new QuernError("RECIPE_FLAVOUR", `${kind} as by the ${flavour}`, { subject: { key: "flavour" } });
  }
  if (flavour === "converter" && params.rounding !== undefined) {
    throw new QuernError(
      "RECIPE_FLAVOUR",
      `${params.rounding} rounds what the quantizer writes; the converter rounds every weight by itself`,
      { subject: { key: "flavour" } },
    );
  }
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
