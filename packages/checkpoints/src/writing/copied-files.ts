/** Files of a checkpoint that belong to any form of the model: tokenizer, chat template, generation, processors, own code, licence. */
const COPIED = [
  /^(tokenizer|vocab|merges|special_tokens_map|added_tokens|normalizer|bpe|spiece|sentencepiece)[^/]*\.(json|txt|model)$/,
  /^[^/]*\.(tiktoken|jinja|py)$/,
  /^chat_template\.json$/,
  /^additional_chat_templates\/[^/]*\.jinja$/,
  /^(generation_config|preprocessor_config|processor_config|video_preprocessor_config|image_processor)\.json$/,
  /^(LICEN[CS]E|NOTICE|USE_POLICY)[^/]*$/i,
];

/** Which of these paths are copied as they are. */
export function copiedFiles(paths: readonly string[]): string[] {
  return paths.filter((path) => COPIED.some((pattern) => pattern.test(path)));
}
