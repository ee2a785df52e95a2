/** Names of the GGUF layout of `llama-imatrix` (llama.cpp v0.5.0: common/imatrix-loader.h and .cpp). */
export const DATASETS_KEY = "imatrix.datasets";
export const CHUNK_COUNT_KEY = "imatrix.chunk_count";
export const CHUNK_SIZE_KEY = "imatrix.chunk_size";

/** What the names of the two tensors of an entry end in: F32 sums, `columns` by matrix, and one F32 number of inputs by matrix. */
export const SUMS_SUFFIX = ".in_sum2";
export const COUNTS_SUFFIX = ".counts";
