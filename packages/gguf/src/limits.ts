/** Most dimensions of a tensor (ggml.h, `GGML_MAX_DIMS`). */
export const MAX_DIMENSIONS = 4;

/** Most bytes in the name of a tensor: one less than `GGML_MAX_NAME` (ggml.h), which counts a terminating zero. */
export const MAX_TENSOR_NAME_LENGTH = 63;

/** Most bytes in a metadata key (GGUF specification). */
export const MAX_KEY_LENGTH = 65_535;
