import { readFile, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { presetNamed, PRESETS, type QuantizationRecipe } from "@quern/recipes";
import { QuernError } from "@quern/tensor";
import { closest } from "../suggestion.ts";

/** Recipes are a few lines; whatever is larger is something else. */
const LARGEST_FILE = 2 ** 20;

/**
 * A recipe of this name, or that a file holds.
 *
 * @param params.recipe As the user gave it: what looks like a path, or is a file, is read.
 * @param params.cwd Folder of relative paths.
 * @throws QuernError `RECIPE_UNKNOWN`, `RECIPE_FILE_UNREADABLE`, and the codes of `parseRecipe`
 */
export async function readRecipe(params: { recipe: string; cwd: string }): Promise<QuantizationRecipe> {
  const { recipe, cwd } = params;
  if (PRESETS.some(({ name }) => name === recipe)) return presetNamed(recipe);
  const path = resolve(cwd, recipe);
  const found = await stat(path).catch(() => undefined);
  if (found === undefined && !/[\\/]|\.(ya?ml|json)$/.test(recipe)) throw unknown(recipe);
  if (found !== undefined && (!found.isFile() || found.size > LARGEST_FILE)) {
    throw unreadable(recipe, found.isFile() ? "it has more than 1 MiB" : "it is no file");
  }
  const text = await readFile(path, "utf8").catch((cause: NodeJS.ErrnoException) => {
    throw unreadable(recipe, cause.code === "ENOENT" ? "there is no such file" : cause.message, cause);
  });
  // Not before there is something to read: the reader of files and its schema take their time to load.
  const { parseRecipe } = await import("@quern/recipes/file");
  return parseRecipe({ text, file: recipe });
}

function unknown(name: string): QuernError {
  const meant = closest(
    name,
    PRESETS.map((preset) => preset.name),
  );
  const hint = meant === undefined ? '"quern recipes" lists them' : `did you mean ${meant}?`;
  return new QuernError("RECIPE_UNKNOWN", `there is no recipe "${name}"; ${hint}`, {
    subject: { key: name },
  });
}

function unreadable(file: string, problem: string, cause?: unknown): QuernError {
  return new QuernError("RECIPE_FILE_UNREADABLE", `recipe ${file}: ${problem}`, { subject: { file }, cause });
}
