import { QuernError } from "@quern/tensor";
import { type Document, LineCounter, parseDocument } from "yaml";
import { checkRecipe } from "../check-recipe.ts";
import { presetNamed } from "../presets/registry.ts";
import type { QuantizationRecipe } from "../recipe.ts";
import { type Problem, problemsOf } from "./problems.ts";
import { RECIPE_FILE, type RecipeFile } from "./schema.ts";

/** Problems that a message names; files with more have another cause. */
const MOST_NAMED = 5;

/**
 * Reads a recipe file: YAML, and so JSON too.
 *
 * @param params `text`: contents of the file; `file`: its name, for messages, which without folder and extension names a recipe that has
 * no name.
 * @throws QuernError `RECIPE_FILE_INVALID` for what is no YAML or says what no recipe says, with lines and keys; `RECIPE_INVALID` for a
 * recipe that makes no sense
 */
export function parseRecipe({ text, file }: { text: string; file: string }): QuantizationRecipe {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  if (document.errors.length > 0) {
    const problems = document.errors.map(({ message, pos }) => ({
      key: "",
      line: lines.linePos(pos[0]).line,
      message: message.split(" at line ")[0]!,
    }));
    throw invalid(file, problems);
  }
  const result = RECIPE_FILE.safeParse(valueOf(document, file));
  if (!result.success) throw invalid(file, problemsOf(result.error.issues, document, lines));
  const recipe = complete(result.data, file);
  try {
    checkRecipe(recipe);
  } catch (cause) {
    if (!(cause instanceof QuernError)) throw cause;
    throw new QuernError(cause.code, `${file}: ${cause.message}`, {
      subject: { ...cause.subject, file },
      cause,
    });
  }
  return recipe;
}

/** The document as plain data; the library limits how far aliases may make it grow. */
function valueOf(document: Document, file: string): unknown {
  try {
    return document.toJS();
  } catch (cause) {
    throw invalid(file, [{ key: "", line: 1, message: (cause as Error).message }]);
  }
}

/** What the file says, and the rest from the preset that it extends; its rules come first. */
function complete({ extends: base, ...own }: RecipeFile, file: string): QuantizationRecipe {
  const inherited = base === undefined ? undefined : presetNamed(base);
  const { format, rounding, ...rest } = { ...inherited, ...own };
  const { bits, groupSize, ...parameters } = { ...inherited?.parameters, ...own.parameters };
  const rules = [...(own.rules ?? []), ...(inherited?.rules ?? [])];
  const required = { format, "parameters.bits": bits, "parameters.groupSize": groupSize, rounding };
  const missing = Object.entries(required).flatMap(([key, value]): Problem[] =>
    value === undefined
      ? [{ key, line: 1, message: "it is missing, and there is no recipe that it extends" }]
      : [],
  );
  if (missing.length > 0) throw invalid(file, missing);
  const stem = file.replace(/^.*[\\/]/, "").replace(/\.[^.]*$/, "");
  return {
    ...rest,
    name: own.name ?? stem,
    description: own.description ?? (base === undefined ? "" : `${base}, changed`),
    format: format!,
    parameters: { bits: bits!, groupSize: groupSize!, ...parameters },
    rounding: rounding!,
    ...(rules.length === 0 ? {} : { rules }),
  };
}

function invalid(file: string, problems: readonly Problem[]): QuernError {
  const named = problems
    .slice(0, MOST_NAMED)
    .map(({ key, line, message }) => `line ${line}${key && `, ${key}`}: ${message}`);
  const others = problems.length - named.length;
  if (others > 0) named.push(`and ${others} more`);
  return new QuernError("RECIPE_FILE_INVALID", `${file}: ${named.join("; ")}`, {
    subject: { file, ...(problems[0]?.key ? { key: problems[0].key } : {}) },
  });
}
