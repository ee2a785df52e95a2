import { type GgufMetadata, ggufString, ggufUint32, type GgufValue, withoutSplitKeys } from "@quern/gguf";

/** Version of the quantized formats (ggml.h, `GGML_QNT_VERSION`). */
const QUANTIZATION_VERSION = 2;

/** Most bytes of a string that `llama-quantize` sets (llama.h, `llama_model_kv_override`). */
const MAX_TEXT_BYTES = 127;

/** What the metadata says about importance weights. */
export interface ImportanceSummary {
  /** Path of the file, as the user gave it. */
  readonly file: string;
  /** Calibration texts; the first is written. */
  readonly datasets: readonly string[];
  /** Tensors with weights. */
  readonly entries: number;
  /** Chunks of text that went in; 0 when unknown. */
  readonly chunks: number;
}

/**
 * The metadata of a quantized file, as `llama-quantize` derives it from that of the file to quantize: the version and the file
 * type move to the end, then come the pairs that the user sets, then what is known about importance weights, then the number of
 * blocks where some are left out.
 *
 * @param params.overrides Pairs that the user sets (`--override-kv`); they move to the end too.
 * @param params.blockCount The blocks that are left, and the key that says so.
 */
export function quantizedMetadata(
  metadata: GgufMetadata,
  params: {
    readonly fileType: number;
    readonly importance?: ImportanceSummary;
    /** What rounds layers by their inputs, which `llama-quantize` has nothing like. */
    readonly rounding?: string;
    readonly overrides?: ReadonlyMap<string, GgufValue>;
    readonly blockCount?: { readonly key: string; readonly value: number };
  },
): GgufMetadata {
  const { fileType, importance, rounding, overrides = new Map<string, GgufValue>(), blockCount } = params;
  // A quantized file is no longer part of a set.
  const result = withoutSplitKeys(metadata);
  const moveToEnd = (key: string, value: GgufValue): void => {
    result.delete(key);
    result.set(key, value);
  };
  moveToEnd("general.quantization_version", ggufUint32(QUANTIZATION_VERSION));
  moveToEnd("general.file_type", ggufUint32(fileType));
  for (const [key, value] of overrides) moveToEnd(key, value);
  for (const [key, value] of importanceMetadata(importance)) moveToEnd(key, value);
  if (rounding !== undefined) moveToEnd("quern.rounding", ggufString(rounding));
  if (blockCount !== undefined) moveToEnd(blockCount.key, ggufUint32(blockCount.value));
  return result;
}

function importanceMetadata(importance: ImportanceSummary | undefined): GgufMetadata {
  const pairs: GgufMetadata = new Map();
  if (importance === undefined) return pairs;
  const { file, datasets, entries, chunks } = importance;
  const [dataset] = datasets;
  pairs.set("quantize.imatrix.file", ggufString(truncated(file)));
  if (dataset !== undefined) pairs.set("quantize.imatrix.dataset", ggufString(truncated(dataset)));
  pairs.set("quantize.imatrix.entries_count", ggufUint32(entries));
  if (chunks > 0) pairs.set("quantize.imatrix.chunks_count", ggufUint32(chunks));
  return pairs;
}

/** The longest beginning of whole characters that fits. */
function truncated(text: string): string {
  let bytes = 0;
  let result = "";
  for (const character of text) {
    bytes += new TextEncoder().encode(character).byteLength;
    if (bytes > MAX_TEXT_BYTES) break;
    result += character;
  }
  return result;
}
