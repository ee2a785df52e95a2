import type { GgufMetadata, GgufValue } from "@quern/gguf";

/**
 * The metadata that llama.cpp's loader sees when the user sets pairs (`--override-kv`), as far as types are chosen by it: a pair
 * counts where it is of the kind that is there, and an array never gives way. Where there is nothing, a number of blocks, heads or
 * experts is an integer.
 *
 * Source: llama-model-loader.cpp (llama.cpp v0.5.0), `get_key` and `get_key_or_arr`.
 */
export function overriddenMetadata(
  metadata: GgufMetadata,
  overrides: ReadonlyMap<string, GgufValue>,
): GgufMetadata {
  const seen: GgufMetadata = new Map(metadata);
  for (const [key, value] of overrides) {
    const there = metadata.get(key);
    const kind = there === undefined ? "integer" : kindOf(there);
    const isRead = there !== undefined || !PER_BLOCK.test(key);
    if (isRead && kind !== "array" && kind === kindOf(value)) seen.set(key, value);
  }
  return seen;
}

/** Keys that may hold an array with a value for each block: the loader reads no override of them when they are missing. */
const PER_BLOCK = /\.attention\.head_count(_kv)?$/;

type Kind = "integer" | "float" | "bool" | "string" | "array";

function kindOf({ type }: GgufValue): Kind {
  if (type === "bool" || type === "string" || type === "array") return type;
  return type.startsWith("float") ? "float" : "integer";
}
