import { TOKEN_TYPE } from "./gguf-vocabulary.ts";
import type { GgufVocabulary } from "./gguf-vocabulary.ts";

/** How a token is found in text: "always", "parsed" when special tokens are parsed, or not at all but by merging. */
export type TokenFinding = "always" | "parsed";

const BY_TYPE: ReadonlyMap<number, TokenFinding> = new Map([
  [TOKEN_TYPE.control, "parsed"],
  [TOKEN_TYPE.unknown, "parsed"],
  [TOKEN_TYPE.userDefined, "always"],
]);

/** Tokens that end a turn or mark gaps in code: special by their names, whatever their type is. */
const SPECIAL_NAMES: ReadonlySet<string> = new Set([
  "<|eot_id|>",
  "<|im_end|>",
  "<|end|>",
  "<|return|>",
  "<|call|>",
  "<|flush|>",
  "<|calls|>",
  "<end_of_turn>",
  "<|endoftext|>",
  "</s>",
  "<|eom_id|>",
  "<EOT>",
  "_<EOT>",
  "[EOT]",
  "[EOS]",
  "<|end_of_text|>",
  "<end_of_utterance>",
  "<eos>",
  "<turn|>",
  "<|tool_response>",
  "<｜end▁of▁sentence｜>",
  "[e~[",
  "<|fim_prefix|>",
  "<fim-prefix>",
  "<fim_prefix>",
  "<｜fim▁begin｜>",
  "<PRE>",
  "▁<PRE>",
  "<|code_prefix|>",
  "<|prefix|>",
  "<|fim_suffix|>",
  "<fim-suffix>",
  "<fim_suffix>",
  "<｜fim▁hole｜>",
  "<SUF>",
  "▁<SUF>",
  "<|code_suffix|>",
  "<|suffix|>",
  "<|fim_middle|>",
  "<fim-middle>",
  "<fim_middle>",
  "<｜fim▁end｜>",
  "<MID>",
  "▁<MID>",
  "<|code_middle|>",
  "<|middle|>",
  "<|fim_pad|>",
  "<fim-pad>",
  "<fim_pad>",
  "<PAD>",
  "[PAD]",
  "<|fim_repo|>",
  "<|repo_name|>",
  "<fim-repo>",
  "<REPO>",
  "<reponame>",
  "<|file_sep|>",
]);

/** Tokens of the Harmony format, which are found always. */
const ALWAYS_NAMES: ReadonlySet<string> = new Set([
  "<|channel|>",
  "<|message|>",
  "<|start|>",
  "<|constrain|>",
]);

/**
 * Which tokens llama.cpp searches in a text: by type, corrected for names that it knows (src/llama-vocab.cpp
 * `llama_vocab::impl::load`, "auto-detect special tokens by text" and what follows).
 */
export function foundTokens({ tokens, types }: GgufVocabulary): ReadonlyMap<number, TokenFinding> {
  const present = new Set(tokens.filter((text) => SPECIAL_NAMES.has(text)));
  const calls = present.has("<|call|>") || present.has("<|calls|>");
  const endsMessages = calls && (present.has("<|return|>") || present.has("<|flush|>"));
  const finding = (text: string, id: number): TokenFinding | undefined => {
    if (ALWAYS_NAMES.has(text) || (text === "<|end|>" && endsMessages)) return "always";
    if (text === "</s>" && present.has("<|tool_response>")) return undefined;
    return present.has(text) ? "parsed" : BY_TYPE.get(types[id]!);
  };
  const found = new Map<number, TokenFinding>();
  tokens.forEach((text, id) => {
    const how = text === "" ? undefined : finding(text, id);
    if (how !== undefined) found.set(id, how);
  });
  return found;
}
