import { Tokenizer } from "@huggingface/tokenizers";
import { QuernError } from "@quern/tensor";
import { isJsonObject } from "../json.ts";
import type { JsonObject } from "../json.ts";
import type { SpecialTokenHandling } from "./text-tokenizer.ts";

/** The parts of a tokenizer.json. All keys are there, with null for what is left out. */
export interface TokenizerDefinition {
  readonly model: JsonObject;
  readonly added_tokens: readonly JsonObject[];
  readonly normalizer: JsonObject | null;
  readonly pre_tokenizer: JsonObject | null;
  readonly post_processor: JsonObject | null;
  readonly decoder: JsonObject | null;
}

/** What is used of the library, whose own declarations do not resolve under `moduleResolution` "nodenext". */
interface HuggingFaceTokenizer {
  model: unknown;
  encode(
    text: string,
    options: { add_special_tokens: boolean },
  ): { readonly ids: readonly (number | undefined)[] };
  token_to_id(token: string): number | undefined;
}

/** A tokenizer of `@huggingface/tokenizers` that handles special tokens in both ways. */
export interface LibraryTokenizer {
  readonly vocabularySize: number;
  idOf(token: string): number | undefined;
  encode(text: string, specialTokens: SpecialTokenHandling): Int32Array;
  /** With what the post-processor puts around it. */
  encodeWhole(text: string): Int32Array;
}

const EMPTY_MODEL: JsonObject = { type: "BPE", vocab: {}, merges: [] };

/**
 * @param params.name For messages.
 * @param params.config tokenizer_config.json, of which the library reads a few switches.
 * @throws QuernError `TOKENIZER_UNSUPPORTED` when the library does not know a part, with its own words
 */
export function libraryTokenizer(params: {
  name: string;
  definition: TokenizerDefinition;
  config: JsonObject;
}): LibraryTokenizer {
  const { name, definition, config } = params;
  const build = (changes: Partial<TokenizerDefinition>): HuggingFaceTokenizer => {
    try {
      return new Tokenizer({ ...definition, ...changes }, config);
    } catch (cause) {
      throw new QuernError(
        "TOKENIZER_UNSUPPORTED",
        `${name}: this tokenizer cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`,
        { subject: { file: name }, cause },
      );
    }
  };
  const parsing = build({});
  // The library always looks for added tokens. To read them as text, they must not be there. Making a model takes seconds and much
  // memory, so that both use one.
  const added = definition.added_tokens.filter((token) => token["special"] !== true);
  const plain = build({ model: EMPTY_MODEL, added_tokens: added });
  plain.model = parsing.model;

  const run = (tokenizer: HuggingFaceTokenizer, text: string, whole: boolean): Int32Array => {
    const { ids } = tokenizer.encode(text, { add_special_tokens: whole });
    return checkedIds(ids, name);
  };
  return {
    vocabularySize: vocabularySize(definition),
    idOf: (token) => parsing.token_to_id(token),
    encode: (text, specialTokens) => run(specialTokens === "parse" ? parsing : plain, text, false),
    encodeWhole: (text) => run(parsing, text, true),
  };
}

function checkedIds(ids: readonly (number | undefined)[], name: string): Int32Array {
  const missing = ids.indexOf(undefined);
  if (missing >= 0) {
    throw new QuernError(
      "TOKENIZER_INCOMPLETE",
      `${name}: the vocabulary has no token for a part of the text, and no unknown token (token ${missing} of the text).`,
      { subject: { file: name, offset: missing } },
    );
  }
  return Int32Array.from(ids as readonly number[]);
}

function vocabularySize({ model, added_tokens }: TokenizerDefinition): number {
  const { vocab } = model;
  let size = 0;
  if (Array.isArray(vocab)) size = vocab.length;
  else if (isJsonObject(vocab)) {
    for (const id of Object.values(vocab)) if (typeof id === "number") size = Math.max(size, id + 1);
  }
  for (const { id } of added_tokens) if (typeof id === "number") size = Math.max(size, id + 1);
  return size;
}
