import { QuernError } from "@quern/tensor";
import type { GgufMetadata } from "./value.ts";

export const ALIGNMENT_KEY = "general.alignment";

/** Alignment of files that do not name one (gguf.h, `GGUF_DEFAULT_ALIGNMENT`). */
export const DEFAULT_ALIGNMENT = 32;

/**
 * The alignment of tensor data that the metadata asks for, in bytes.
 *
 * @throws QuernError `GGUF_ALIGNMENT_INVALID` unless it is a power of two of type uint32, as gguf.cpp demands
 */
export function alignmentOf(metadata: GgufMetadata, fileName: string): number {
  const value = metadata.get(ALIGNMENT_KEY);
  if (value === undefined) return DEFAULT_ALIGNMENT;
  if (value.type === "uint32" && isAlignment(value.value)) return value.value;
  const found = value.type === "array" ? "an array" : `${value.type} ${value.value}`;
  throw new QuernError(
    "GGUF_ALIGNMENT_INVALID",
    `${fileName}: metadata key "${ALIGNMENT_KEY}" is ${found}: expected a power of two of type uint32`,
    { subject: { file: fileName, key: ALIGNMENT_KEY } },
  );
}

/** Whether `value` is a power of two that fits uint32. */
export function isAlignment(value: unknown): value is number {
  return (
    typeof value === "number" &&
    Number.isInteger(value) &&
    value >= 1 &&
    value <= 2 ** 31 &&
    Number.isInteger(Math.log2(value))
  );
}
