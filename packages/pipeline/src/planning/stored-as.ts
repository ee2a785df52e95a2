import type { ModelTensor } from "@quern/models";
import { type StorageFormat, type StorageType, storageType } from "../mixtures/index.ts";

/** How the converter stores a tensor; one that has a ggml type keeps it. */
export function storedAs(
  { name, shape, storage }: ModelTensor,
  format: StorageFormat,
): StorageType & { readonly ne: readonly number[] } {
  const ne = shape.length === 0 ? [1] : shape.toReversed();
  return { ne, ...storageType({ name, ne, storage, format }) };
}
