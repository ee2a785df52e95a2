import { isJsonObject } from "../../json-file.ts";
import type { JsonObject } from "../../json-file.ts";
import { normalizerSteps } from "../normalizer.ts";
import type { TokenizerFiles } from "../tokenizer-files.ts";

/** What tells names apart that cut text alike. */
export interface PreTokenizerTraits {
  /** Whether a word that is a token is taken as it is, without merging. */
  readonly ignoresMerges: boolean;
  /** Types of the normalizer's steps ("NFC", "Replace", ...). */
  readonly normalizers: readonly string[];
  /** Types of the post-processor's steps. */
  readonly postProcessors: readonly string[];
  /** `clean_up_tokenization_spaces`; undefined when tokenizer_config.json does not say. */
  readonly cleansUpSpaces: boolean | undefined;
  /** `model_type` of config.json, or "". */
  readonly modelType: string;
  hasAddedToken(content: string): boolean;
}

export function preTokenizerTraits(files: TokenizerFiles, config: JsonObject): PreTokenizerTraits {
  const { tokenizer, tokenizerConfig } = files;
  const cleansUpSpaces = tokenizerConfig?.["clean_up_tokenization_spaces"];
  const { processors } = tokenizer?.postProcessor ?? {};
  const postProcessors = Array.isArray(processors)
    ? processors.filter(isJsonObject)
    : [tokenizer?.postProcessor ?? {}];
  const added = new Set(tokenizer?.addedTokens.map((token) => token.content));
  return {
    ignoresMerges: tokenizer?.model["ignore_merges"] === true,
    normalizers: normalizerSteps(tokenizer?.normalizer).map((step) => String(step["type"])),
    postProcessors: postProcessors.map((step) => String(step["type"])),
    cleansUpSpaces: typeof cleansUpSpaces === "boolean" ? cleansUpSpaces : undefined,
    modelType: typeof config["model_type"] === "string" ? config["model_type"] : "",
    hasAddedToken: (content) => added.has(content),
  };
}
