import type { VocabularyKind } from "./gguf-tokenizer.ts";
import type { GgufVocabulary } from "./gguf-vocabulary.ts";
import { sentencePieceBpe } from "./sentencepiece-bpe.ts";

/**
 * `tokenizer.ggml.model` "llama" (src/llama-vocab.cpp `llama_vocab::impl::tokenize`, `LLAMA_VOCAB_TYPE_SPM`): a space is put before
 * text at the beginning and after every special token.
 */
export function sentencePieceTokenizer(vocabulary: GgufVocabulary): VocabularyKind {
  const prefixed = vocabulary.addsSpacePrefix ?? true;
  const append = sentencePieceBpe(vocabulary);
  return {
    addsBos: true,
    addsEos: false,
    bos: 1,
    eos: 2,
    encode(fragments) {
      const output: number[] = [];
      fragments.forEach((fragment, index) => {
        if ("token" in fragment) {
          output.push(fragment.token);
          return;
        }
        const before = fragments[index - 1];
        const afterSpecial = before === undefined || "token" in before;
        append(prefixed && afterSpecial ? ` ${fragment.text}` : fragment.text, output);
      });
      return output;
    },
  };
}
