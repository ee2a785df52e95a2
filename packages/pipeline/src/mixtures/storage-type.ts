import { ggmlType } from "@quern/gguf";
import type { StoragePolicy } from "@quern/models";
import { QuernError } from "@quern/tensor";

/** A type in which the converter stores matrices (`--outtype`). */
export interface StorageFormat {
  /** Name of the ggml type: "BF16". */
  readonly type: string;
  /** Number for `general.file_type`. */
  readonly fileType: number;
  /** Type of token embeddings and the output matrix, where it is another. */
  readonly embeddings?: string;
}

/** Source: `--outtype` of convert_hf_to_gguf.py and conversion/base.py, `prepare_tensors` (llama.cpp v0.5.0). */
export const STORAGE_FORMATS: readonly StorageFormat[] = [
  { type: "F32", fileType: 0 },
  { type: "F16", fileType: 1 },
  { type: "BF16", fileType: 32 },
  { type: "Q8_0", fileType: 7 },
  { type: "TQ1_0", fileType: 36, embeddings: "F16" },
  { type: "TQ2_0", fileType: 37, embeddings: "F16" },
];

/** The format of that type. @throws QuernError `STORAGE_FORMAT_UNKNOWN` */
export function storageFormat(type: string): StorageFormat {
  const format = STORAGE_FORMATS.find((row) => row.type === type);
  if (format !== undefined) return format;
  const known = STORAGE_FORMATS.map((row) => row.type).join(", ");
  throw new QuernError("STORAGE_FORMAT_UNKNOWN", `the converter writes no ${type}: expected one of ${known}`);
}

/** The choice for one tensor. */
export interface StorageType {
  readonly type: string;
  /** The type that was wanted, where rows are not whole blocks of it. */
  readonly fallbackFrom?: string;
}

const EMBEDDINGS: ReadonlySet<string> = new Set([
  "token_embd.weight",
  "per_layer_token_embd.weight",
  "output.weight",
]);

/**
 * The type in which the converter stores a tensor: F32 for vectors, norms and whatever is no weight; the type of the format for all
 * else, or F16 where rows are not whole blocks of it.
 *
 * @param params.ne ggml order: the contiguous dimension first.
 * @param params.storage What the architecture says about the tensor.
 */
export function storageType(params: {
  name: string;
  ne: readonly number[];
  storage: StoragePolicy;
  format: StorageFormat;
}): StorageType {
  const { name, ne, storage, format } = params;
  if (typeof storage === "object") return { type: storage.packed };
  const isWeight = ne.length > 1 && name.endsWith(".weight") && !name.endsWith("_norm.weight");
  if (storage === "f32" || !isWeight) return { type: "F32" };
  const type = EMBEDDINGS.has(name) ? (format.embeddings ?? format.type) : format.type;
  return (ne[0] ?? 1) % ggmlType(type).blockSize === 0 ? { type } : { type: "F16", fallbackFrom: type };
}
