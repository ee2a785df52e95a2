import { readFileSync } from "node:fs";
import { GGML_TYPES, isGgmlType } from "@quern/gguf";
import type { TensorTypeRule } from "@quern/pipeline";
import { InvalidArgumentError, Option } from "commander";
import { suggest } from "../completions/suggestions.ts";
import { closest } from "../suggestion.ts";

/** An option whose value is a ggml type. */
export function ggmlTypeOption(flags: string, description: string): Option {
  const option = new Option(flags, description).argParser(ggmlTypeArgument);
  return suggest(option, { values: GGML_TYPES.map(({ name }) => name) });
}

/** Reads the name of a ggml type, in any case. */
function ggmlTypeArgument(text: string): string {
  const type = text.toUpperCase();
  if (isGgmlType(type)) {
    return type;
  }
  const meant = closest(
    text,
    GGML_TYPES.map(({ name }) => name),
  );
  throw new InvalidArgumentError(
    `There is no tensor type "${text}".${meant === undefined ? "" : ` Did you mean ${meant}?`}`,
  );
}

/**
 * Reads a rule `PATTERN=TYPE` of `--tensor-type`. Letters of the pattern become lower case, as `llama-quantize` has it (so that `\D` is
 * `\d` there, too).
 */
export function tensorTypeArgument(text: string): TensorTypeRule {
  // The pattern is a regular expression and may hold "=" itself; a type never does.
  const separator = text.lastIndexOf("=");
  const pattern = text.slice(0, Math.max(0, separator));
  const type = text.slice(separator + 1).trim();
  if (pattern === "" || type === "") {
    throw new InvalidArgumentError("Write PATTERN=TYPE, for example ffn_down=Q6_K.");
  }
  return {
    pattern: pattern.replace(/[A-Z]/g, (letter) => letter.toLowerCase()),
    type: ggmlTypeArgument(type),
  };
}

/** Reads the rules of a file of `--tensor-type-file`: between them are spaces or line ends. */
export function tensorTypeFileArgument(path: string): TensorTypeRule[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new InvalidArgumentError(`The file cannot be read: ${(error as Error).message}.`);
  }
  return text
    .split(/\s+/)
    .filter((word) => word !== "")
    .map((word) => {
      try {
        return tensorTypeArgument(word);
      } catch (error) {
        throw new InvalidArgumentError(`In "${word}": ${(error as Error).message}`);
      }
    });
}
