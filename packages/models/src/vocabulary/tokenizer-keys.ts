/** Keys that more than one kind of tokenizer writes (gguf-py constants.py). */
export const ADD_SPACE_PREFIX = "tokenizer.ggml.add_space_prefix";
export const TOKEN_TYPE_COUNT = "tokenizer.ggml.token_type_count";
