import { readGgufVocabulary, type VocabularyMetadata } from "../tokenization/gguf-vocabulary.ts";
import { type ChatTemplate, chatTemplate } from "./chat-template.ts";

/**
 * The chat template of a GGUF file (`tokenizer.chat_template`).
 *
 * @param params.name File name, for messages.
 * @returns undefined when the file has none
 * @throws QuernError `CORPUS_CHAT_TEMPLATE`, `TOKENIZER_MISSING`, `TOKENIZER_MALFORMED`
 */
export function ggufChatTemplate(params: {
  name: string;
  metadata: VocabularyMetadata;
}): ChatTemplate | undefined {
  const template = params.metadata.get("tokenizer.chat_template")?.value;
  if (typeof template !== "string") return undefined;
  const { tokens, bos, eos } = readGgufVocabulary(params);
  return chatTemplate({
    template,
    variables: {
      ...(bos === undefined ? {} : { bos_token: tokens[bos] }),
      ...(eos === undefined ? {} : { eos_token: tokens[eos] }),
    },
  });
}
