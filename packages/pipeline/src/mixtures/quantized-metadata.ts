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
 * The metadata of a quantized file, as `llama-quantize` derives it from that of the unquantized one: the version and the file
 * type move to the end, then come the pairs that the user sets, then what is known about importance weights.
 *
 * @param params.overrides Pairs that the user sets (`--override-kv`); they move to the end too.
 */
export function quantizedMetadata(
  metadata: GgufMetadata,
  params: {
    readonly fileType: number;
    readonly importance?: ImportanceSummary;
    readonly overrides?: ReadonlyMap<string, GgufValue>;
  },
): GgufMetadata {
  const { fileType, importance, overrides = new Map<string, GgufValue>() } = params;
  // A quantized file is no longer part of a set.
  const result = withoutSplitKeys(metadata);
  const moveToEnd = (key: string, value: GgufValue): void => {
    result.delete(key);
    result.set(key, value);
  };
  moveToEnd("general.quantization_version", ggufUint32(QUANTIZATION_VERSION));
  moveToEnd("general.file_type", ggufUint32(fileType));
  for (const [key, value] of overrides) moveToEnd(key, value);
  if (importance === undefined) return result;

  const { file, datasets, entries, chunks } = importance;
  const [dataset] = datasets;
  moveToEnd("quantize.imatrix.file", ggufString(truncated(file)));
  if (dataset !== undefined) moveToEnd("quantize.imatrix.dataset", ggufString(truncated(dataset)));
  moveToEnd("quantize.imatrix.entries_count", ggufUint32(entries));
  if (chunks > 0) moveToEnd("quantize.imatrix.chunks_count", ggufUint32(chunks));
  return result;
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
