import { ggufBool } from "@quern/gguf";
import type { GgufMetadata } from "@quern/gguf";
import { isJsonObject } from "../json-file.ts";
import type { JsonObject } from "../json-file.ts";
import type { TokenizerFiles } from "./tokenizer-files.ts";

const LOWERCASE = "tokenizer.ggml.normalizer.lowercase";
const STRIP_ACCENTS = "tokenizer.ggml.normalizer.strip_accents";

/** What llama.cpp can do of the normalizer of tokenizer.json (gguf-py vocab.py `_parse_normalizer`). */
export function normalizerMetadata({ tokenizer }: TokenizerFiles): GgufMetadata {
  const flags = new Map<string, unknown>();
  for (const step of normalizerSteps(tokenizer?.normalizer)) {
    if (step["type"] === "Lowercase") flags.set(LOWERCASE, true);
    if (step["type"] === "StripAccents") flags.set(STRIP_ACCENTS, true);
    if (step["type"] === "BertNormalizer") {
      if ("lowercase" in step) flags.set(LOWERCASE, step["lowercase"]);
      if ("strip_accents" in step) flags.set(STRIP_ACCENTS, step["strip_accents"]);
    }
  }
  const metadata: GgufMetadata = new Map();
  for (const key of [LOWERCASE, STRIP_ACCENTS]) {
    const flag = flags.get(key);
    if (typeof flag === "boolean") metadata.set(key, ggufBool(flag));
  }
  return metadata;
}

/** The steps of a normalizer in order, sequences unfolded. */
export function normalizerSteps(normalizer: JsonObject | undefined): JsonObject[] {
  if (normalizer === undefined) return [];
  const { normalizers } = normalizer;
  if (normalizer["type"] !== "Sequence") return [normalizer];
  return (Array.isArray(normalizers) ? normalizers.filter(isJsonObject) : []).flatMap(normalizerSteps);
}
