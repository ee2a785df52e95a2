import { type IntermediateType, listRecipes } from "@quern/pipeline";
import { InvalidArgumentError } from "commander";
import { parseSize } from "../format/bytes.ts";
import { closest } from "../suggestion.ts";

/** Reads `--memory`. */
export function sizeArgument(text: string): number {
  const size = parseSize(text);
  if (size === undefined) {
    throw new InvalidArgumentError("Write a size such as 400MB, 1GiB or 1.5G.");
  }
  return size;
}

/** Reads a whole number that is not negative. */
export function countArgument(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count)) {
    throw new InvalidArgumentError("Write a whole number.");
  }
  return count;
}

/** Reads a whole number above zero. */
export function positiveArgument(text: string): number {
  const count = countArgument(text);
  if (count === 0) {
    throw new InvalidArgumentError("Write a whole number above 0.");
  }
  return count;
}

/** Reads `--prune-layers`: numbers separated by commas; the option may be repeated. */
export function layersArgument(text: string, previous: readonly number[] | undefined): number[] {
  return [...(previous ?? []), ...text.split(",").map((word) => countArgument(word.trim()))];
}

/** What `--type` accepts. */
export const OUTPUT_TYPES: readonly string[] = ["auto", ...listRecipes().map(({ name }) => name)];

/**
 * Reads `--type`: names of recipes in any case, separated by commas; the option may be repeated.
 *
 * @returns each name once, as llama.cpp spells it, in the order in which they were first named
 */
export function typesArgument(text: string, previous: readonly string[] | undefined): string[] {
  const types = new Set(previous);
  for (const part of text.split(",").map((word) => word.trim())) {
    const name = OUTPUT_TYPES.find((candidate) => candidate.toUpperCase() === part.toUpperCase());
    if (name === undefined) {
      throw new InvalidArgumentError(unknownType(part));
    }
    types.add(name);
  }
  return [...types];
}

function unknownType(word: string): string {
  const meant = closest(word, OUTPUT_TYPES);
  return meant === undefined
    ? `There is no type "${word}"; "quern types" lists them.`
    : `There is no type "${word}". Did you mean ${meant}?`;
}

/** What `--intermediate` accepts. */
export const INTERMEDIATE_TYPES: readonly IntermediateType[] = ["auto", "F32", "F16", "BF16"];

/** Reads `--intermediate`, in any case. */
export function intermediateArgument(text: string): IntermediateType {
  const type = INTERMEDIATE_TYPES.find((name) => name.toUpperCase() === text.toUpperCase());
  if (type === undefined) {
    throw new InvalidArgumentError(`Allowed choices are ${INTERMEDIATE_TYPES.join(", ")}.`);
  }
  return type;
}
