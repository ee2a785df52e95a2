/** Bytes of the little-endian length that a file begins with. */
export const LENGTH_BYTES = 8;

/** Longest header that the reference implementation reads and writes (`MAX_HEADER_SIZE` in safetensors/src/tensor.rs). */
export const MAX_HEADER_BYTES = 100_000_000;

/** The header key that holds text about the file instead of a tensor. */
export const METADATA_KEY = "__metadata__";

/** Free text about a file. The object that a reader gives has no prototype: any key is safe. */
export type SafetensorsMetadata = Readonly<Record<string, string>>;
