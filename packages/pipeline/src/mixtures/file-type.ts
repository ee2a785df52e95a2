import type { GgufMetadata, GgufTensorSpec } from "@quern/gguf";
import { findMixture } from "./registry.ts";

/** Marks a file type that is a guess (llama.h, `LLAMA_FTYPE_GUESSED`). */
const GUESSED = 1024;

/** File types of tensor types that no mixture is called by (llama.h). */
const OTHER_FILE_TYPES: Readonly<Partial<Record<string, number>>> = { NVFP4: 39 };

/**
 * The file type that llama.cpp's loader takes a file for: what the metadata says, or a guess by the type of most tensors, the
 * first to come to that number where several do (llama-model-loader.cpp, llama.cpp v0.5.0).
 *
 * @param tensors In the order of `quantizedTensorOrder`.
 */
export function fileTypeOf(metadata: GgufMetadata, tensors: readonly GgufTensorSpec[]): number {
  const stated = metadata.get("general.file_type");
  if (stated?.type === "uint32") return Number(stated.value);
  const counts = new Map<string, number>();
  let most = { type: "F32", count: 0 };
  for (const { type } of tensors) {
    const count = (counts.get(type) ?? 0) + 1;
    counts.set(type, count);
    if (count > most.count) most = { type, count };
  }
  // A type is the name of its mixture, or short for the usual one; what the loader knows none of counts as F32.
  return (findMixture(most.type)?.fileType ?? OTHER_FILE_TYPES[most.type] ?? 0) | GUESSED;
}
