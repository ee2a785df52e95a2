import { isJsonObject } from "../json-file.ts";
import type { JsonObject } from "../json-file.ts";
import type { TokenizerFiles } from "./tokenizer-files.ts";

const ROLES = [
  "bos_token",
  "eos_token",
  "unk_token",
  "sep_token",
  "pad_token",
  "cls_token",
  "mask_token",
] as const;

/**
 * Tokens with a role that a tokenizer class of the transformers library has when the checkpoint does not say otherwise
 * (defaults of the constructors in models/<family>/tokenization_<family>_fast.py).
 */
type RoleDefaults = Readonly<Partial<Record<(typeof ROLES)[number], string>>>;

const CLASS_DEFAULTS: ReadonlyMap<unknown, RoleDefaults> = new Map<unknown, RoleDefaults>(
  Object.entries({
    BertTokenizer: {
      unk_token: "[UNK]",
      sep_token: "[SEP]",
      pad_token: "[PAD]",
      cls_token: "[CLS]",
      mask_token: "[MASK]",
    },
    CodeLlamaTokenizer: { bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>" },
    CohereTokenizer: { bos_token: "<BOS_TOKEN>", eos_token: "<|END_OF_TURN_TOKEN|>", unk_token: "<UNK>" },
    GPT2Tokenizer: { bos_token: "<|endoftext|>", eos_token: "<|endoftext|>", unk_token: "<|endoftext|>" },
    GPTNeoXTokenizer: { bos_token: "<|endoftext|>", eos_token: "<|endoftext|>", unk_token: "<|endoftext|>" },
    GemmaTokenizer: { bos_token: "<bos>", eos_token: "<eos>", unk_token: "<unk>", pad_token: "<pad>" },
    LlamaTokenizer: { bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>" },
    Qwen2Tokenizer: { eos_token: "<|endoftext|>", unk_token: "<|endoftext|>", pad_token: "<|endoftext|>" },
    XLMRobertaTokenizer: {
      bos_token: "<s>",
      eos_token: "</s>",
      unk_token: "<unk>",
      sep_token: "</s>",
      pad_token: "<pad>",
      cls_token: "<s>",
      mask_token: "<mask>",
    },
  }),
);

/** Class that the transformers library takes when tokenizer_config.json names none, by `model_type`. */
const MODEL_TYPE_CLASSES: ReadonlyMap<unknown, string> = new Map(
  Object.entries({
    bert: "BertTokenizer",
    gpt2: "GPT2Tokenizer",
    gpt_neox: "GPTNeoXTokenizer",
    llama: "LlamaTokenizer",
    mistral: "LlamaTokenizer",
    mixtral: "LlamaTokenizer",
    "xlm-roberta": "XLMRobertaTokenizer",
  }),
);

/** Contents of the tokens that have a role. */
export interface NamedSpecialTokens {
  /** Said by the files of the checkpoint. */
  readonly declared: ReadonlySet<string>;
  /** Defaults of the tokenizer class for roles that the files leave open; they count only where the vocabulary has them. */
  readonly usual: ReadonlySet<string>;
}

export function namedSpecialTokens(params: {
  files: TokenizerFiles;
  config: JsonObject;
}): NamedSpecialTokens {
  const { tokenizerConfig = {}, specialTokensMap } = params.files;
  // Once tokenizer_config.json has the added tokens, transformers no longer reads special_tokens_map.json.
  const map = isJsonObject(tokenizerConfig["added_tokens_decoder"]) ? {} : (specialTokensMap ?? {});
  const declared = new Set<string>();
  const usual = new Set<string>();
  const defaults = CLASS_DEFAULTS.get(tokenizerClass(tokenizerConfig, params.config)) ?? {};
  for (const role of ROLES) {
    const entry = role in map ? map[role] : tokenizerConfig[role];
    const content = tokenContent(entry);
    if (content !== undefined) declared.add(content);
    else if (entry === undefined && defaults[role] !== undefined) usual.add(defaults[role]);
  }
  for (const source of [tokenizerConfig, map]) {
    const additional = source["additional_special_tokens"];
    const extra = source["extra_special_tokens"];
    const entries = [
      ...(Array.isArray(additional) ? additional : []),
      ...(isJsonObject(extra) ? Object.values(extra) : []),
    ];
    for (const entry of entries) {
      const content = tokenContent(entry);
      if (content !== undefined) declared.add(content);
    }
  }
  return { declared, usual };
}

/** A token as configurations write it: its text, or an object with the text as `content`. */
export function tokenContent(entry: unknown): string | undefined {
  if (typeof entry === "string") return entry;
  return isJsonObject(entry) && typeof entry["content"] === "string" ? entry["content"] : undefined;
}

function tokenizerClass(tokenizerConfig: JsonObject, config: JsonObject): string | undefined {
  const name = tokenizerConfig["tokenizer_class"];
  return typeof name === "string" ? name.replace(/Fast$/, "") : MODEL_TYPE_CLASSES.get(config["model_type"]);
}
