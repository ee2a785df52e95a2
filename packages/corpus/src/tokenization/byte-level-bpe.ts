import { QuernError } from "@quern/tensor";
import type { VocabularyKind } from "./gguf-tokenizer.ts";
import type { GgufVocabulary } from "./gguf-vocabulary.ts";
import { libraryTokenizer } from "./library-tokenizer.ts";
import { preTokenizerNamed } from "./pre-tokenizers.ts";

/**
 * `tokenizer.ggml.model` "gpt2": byte-level BPE, rebuilt as the tokenizer.json that it came from.
 *
 * @throws QuernError `TOKENIZER_UNSUPPORTED` for a pre-tokenizer that is not known
 */
export function byteLevelBpe(vocabulary: GgufVocabulary): VocabularyKind {
  const { name, pre, tokens } = vocabulary;
  const preTokenizer = preTokenizerNamed(pre);
  if (preTokenizer === undefined) {
    throw new QuernError(
      "TOKENIZER_UNSUPPORTED",
      `${name}: text cannot be cut as the pre-tokenizer "${pre}" does (tokenizer.ggml.pre).`,
      { subject: { file: name, key: "tokenizer.ggml.pre" } },
    );
  }
  const library = libraryTokenizer({
    name,
    config: {},
    definition: {
      model: {
        type: "BPE",
        vocab: Object.fromEntries(tokens.map((text, id) => [text, id])),
        merges: vocabulary.merges.map(pairOf),
        ignore_merges: preTokenizer.ignoresMerges === true,
      },
      // Special tokens have been taken out of the text before it comes here.
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: {
        type: "Sequence",
        pretokenizers: [
          ...preTokenizer.splits.map((expression) => ({
            type: "Split",
            pattern: { Regex: expression },
            behavior: "Isolated",
            invert: false,
          })),
          { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
        ],
      },
      post_processor: null,
      decoder: { type: "ByteLevel" },
    },
  });
  return {
    addsBos: preTokenizer.addsBos === true,
    addsEos: false,
    // src/llama-vocab.cpp `llama_vocab::impl::load`, for "gpt2"
    bos: 11,
    eos: 11,
    encode: (fragments) =>
      fragments.flatMap((fragment) =>
        "token" in fragment ? [fragment.token] : [...library.encode(fragment.text, "parse")],
      ),
  };
}

/** "left right"; the left part may itself begin with a space. */
function pairOf(merge: string): [string, string] {
  const space = merge.indexOf(" ", 1);
  return space < 0 ? [merge, ""] : [merge.slice(0, space), merge.slice(space + 1)];
}
