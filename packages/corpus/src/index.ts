export { checkpointTokenizer } from "./tokenization/checkpoint-tokenizer.ts";
export { ggufTokenizer } from "./tokenization/gguf-tokenizer.ts";
export type { MetadataValue, VocabularyMetadata } from "./tokenization/gguf-vocabulary.ts";
export { addsBos } from "./tokenization/text-tokenizer.ts";
export type { SpecialTokenHandling, TextTokenizer } from "./tokenization/text-tokenizer.ts";
