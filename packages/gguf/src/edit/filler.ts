import type { GgufMetadata } from "../value.ts";
import { ggufString } from "../values.ts";

/**
 * Key of a string of spaces that keeps room in a header, so that later edits need not move the tensor data. Readers ignore keys
 * that they do not know.
 *
 * With its length, type and the length of its value it takes 32 bytes, the usual alignment: whatever is left between a header
 * and the tensor data is filled exactly.
 */
export const FILLER_KEY = "quern.filler";

/** A copy of the metadata with `size` spaces of filler at the end, or none. */
export function withFiller(metadata: GgufMetadata, size: number | undefined): GgufMetadata {
  const copy: GgufMetadata = new Map(metadata);
  copy.delete(FILLER_KEY);
  return size === undefined ? copy : copy.set(FILLER_KEY, ggufString(" ".repeat(size)));
}
