import { ggufArray, ggufBool, ggufString, ggufUint32 } from "@quern/gguf";
import type { GgufMetadata } from "@quern/gguf";
import { QuernError } from "@quern/tensor";
import type { JsonObject } from "../json-file.ts";
import type { CheckpointFiles } from "../model.ts";
import { chatTemplateMetadata } from "./chat-templates.ts";
import { readMerges } from "./merges.ts";
import { normalizerMetadata } from "./normalizer.ts";
import { choosePreTokenizer } from "./pre-tokenizer/choose-pre-tokenizer.ts";
import { COMMON_ROLES, readSpecialTokens } from "./special-tokens.ts";
import type { SpecialTokens } from "./special-tokens.ts";
import type { TokenList } from "./token-list.ts";
import { loadTokenizerFiles } from "./tokenizer-files.ts";
import type { TokenizerFiles } from "./tokenizer-files.ts";
import { ADD_SPACE_PREFIX } from "./tokenizer-keys.ts";
import { TOKENIZERS } from "./tokenizers/registry.ts";
import type { Tokenizer } from "./tokenizers/tokenizer.ts";
import type { VocabularyHints } from "./vocabulary-hints.ts";

/** Key of a special token's id, by role (gguf-py constants.py; "seperator" is how GGUF spells it). Other roles have none. */
const ID_KEYS: ReadonlyMap<string, string> = new Map([
  ["bos", "tokenizer.ggml.bos_token_id"],
  ["eos", "tokenizer.ggml.eos_token_id"],
  ["eot", "tokenizer.ggml.eot_token_id"],
  ["eom", "tokenizer.ggml.eom_token_id"],
  ["unk", "tokenizer.ggml.unknown_token_id"],
  ["sep", "tokenizer.ggml.seperator_token_id"],
  ["pad", "tokenizer.ggml.padding_token_id"],
  ["mask", "tokenizer.ggml.mask_token_id"],
]);

const ADD_KEYS: ReadonlyMap<string, string> = new Map([
  ["bos", "tokenizer.ggml.add_bos_token"],
  ["eos", "tokenizer.ggml.add_eos_token"],
  ["sep", "tokenizer.ggml.add_sep_token"],
]);

/** What a vocabulary is made from. */
export interface VocabularyInput {
  readonly files: CheckpointFiles;
  /** config.json as it stands in the checkpoint. */
  readonly config: JsonObject;
  readonly hints: VocabularyHints;
  /** Overrides the pre-tokenizer name that is derived from tokenizer.json (`--pre`). */
  readonly preTokenizer?: string;
}

/**
 * All `tokenizer.*` metadata of a checkpoint, in the order of llama.cpp's converter.
 *
 * @throws QuernError
 * - `TOKENIZER_MISSING` no file of a tokenizer that the architecture can have
 * - `TOKENIZER_MALFORMED`, `PROTOBUF_MALFORMED`, `CHECKPOINT_JSON_MALFORMED`, `CHECKPOINT_FILE_NOT_UTF8`, `CHECKPOINT_FILE_TOO_LARGE`
 *   a file that cannot be used
 * - `TOKENIZER_VOCABULARY_MISMATCH` more tokens than the model has rows
 * - `TOKENIZER_PRE_UNKNOWN` a pre-tokenizer that llama.cpp does not have, or an unknown name in `preTokenizer`
 */
export async function describeVocabulary(input: VocabularyInput): Promise<GgufMetadata> {
  const { config, hints } = input;
  const files = await loadTokenizerFiles(input.files);
  const { tokenizer, list } = await findTokenizer({ files, config, hints });
  const pre = choosePreTokenizer({
    files,
    config,
    preTokenizer: input.preTokenizer,
    splits: tokenizer.preTokenized,
  });

  const metadata: GgufMetadata = new Map();
  const prefixed = files.tokenizerConfig?.["add_prefix_space"];
  if (hints.copiesAddPrefixSpace && typeof prefixed === "boolean")
    metadata.set(ADD_SPACE_PREFIX, ggufBool(prefixed));
  for (const [key, value] of list.before ?? []) metadata.set(key, value);
  metadata.set("tokenizer.ggml.model", ggufString(tokenizer.model));
  metadata.set("tokenizer.ggml.pre", ggufString(pre));
  setArray(metadata, { key: "tokenizer.ggml.tokens", elements: "string", values: list.tokens });
  setArray(metadata, { key: "tokenizer.ggml.scores", elements: "float32", values: list.scores ?? [] });
  setArray(metadata, { key: "tokenizer.ggml.token_type", elements: "int32", values: list.types });
  for (const [key, value] of list.after ?? []) metadata.set(key, value);
  if (tokenizer.merges) {
    setArray(metadata, { key: "tokenizer.ggml.merges", elements: "string", values: await readMerges(files) });
  }

  const fallbacks = idsOf(hints.fallbackSpecialTokens ?? {}, list);
  const vocabularySize = tokenizer.boundsSpecialTokens ? list.tokens.length : Number.POSITIVE_INFINITY;
  setSpecialTokens(
    metadata,
    readSpecialTokens({ files, config, roles: COMMON_ROLES, vocabularySize, fallbacks }),
  );
  for (const [key, value] of await chatTemplateMetadata(files)) metadata.set(key, value);
  for (const [key, value] of normalizerMetadata(files)) metadata.set(key, value);

  if (hints.endOfTurnTokenId !== undefined) {
    // The reference goes through the special tokens a second time, and so lets the post-processor alone say what is added.
    const endOfTurn = new Map([["eot", hints.endOfTurnTokenId]]);
    setSpecialTokens(metadata, readSpecialTokens({ files, config, roles: ["eot"], fallbacks: endOfTurn }));
  }
  if (hints.addSpacePrefix !== undefined && tokenizer.prefixesSpace) {
    metadata.set(ADD_SPACE_PREFIX, ggufBool(hints.addSpacePrefix));
  }
  if (hints.addBosToken !== undefined)
    metadata.set("tokenizer.ggml.add_bos_token", ggufBool(hints.addBosToken));
  return metadata;
}

async function findTokenizer(params: {
  files: TokenizerFiles;
  config: JsonObject;
  hints: VocabularyHints;
}): Promise<{ tokenizer: Tokenizer; list: TokenList }> {
  const { files, config, hints } = params;
  const { vocabularySize, tokenTypeCount } = hints;
  for (const kind of hints.tokenizers) {
    const tokenizer = TOKENIZERS[kind];
    const list = await tokenizer.tokens({ files, config, vocabularySize, tokenTypeCount });
    if (list !== undefined) return { tokenizer, list };
  }
  const sources = hints.tokenizers.map((kind) => TOKENIZERS[kind].source);
  const found =
    files.tokenizer === undefined ? "" : ` (its tokenizer.json has model.type ${files.tokenizer.modelType})`;
  throw new QuernError(
    "TOKENIZER_MISSING",
    `${files.checkpoint.name} has no tokenizer that can be used${found}; looked for ${sources.join(", ")}.`,
    { subject: { file: files.checkpoint.name } },
  );
}

function setSpecialTokens(metadata: GgufMetadata, { ids, added }: SpecialTokens): void {
  for (const [role, id] of ids) {
    const key = ID_KEYS.get(role);
    if (key !== undefined) metadata.set(key, ggufUint32(id));
  }
  for (const [role, value] of added) {
    const key = ADD_KEYS.get(role);
    if (key !== undefined) metadata.set(key, ggufBool(value));
  }
}

/** Empty arrays have no element type that readers agree on, and are left out. */
function setArray(
  metadata: GgufMetadata,
  params: {
    key: string;
    elements: "string" | "float32" | "int32";
    values: ArrayLike<string> | ArrayLike<number>;
  },
): void {
  if (params.values.length > 0) metadata.set(params.key, ggufArray(params.elements, params.values));
}

function idsOf(contents: Readonly<Record<string, string>>, list: TokenList): ReadonlyMap<string, number> {
  return new Map(
    Object.entries(contents)
      .map(([role, content]) => [role, list.tokens.indexOf(content)] as const)
      .filter(([, id]) => id >= 0),
  );
}
