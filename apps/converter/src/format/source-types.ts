import type { CheckpointTensor, GgufModelTensor } from "@quern/checkpoints";
import type { ConversionPlan } from "@quern/pipeline";

/** What a tensor is made from: an element type, or the ggml type that it has already. */
export function sourceType({ storage, sourceType: type }: ConversionPlan["tensors"][number]): string {
  return typeof storage === "object" ? storage.packed : type;
}

/** Types of the weights that are read, the one with most bytes first. */
export function sourceTypes({ checkpoint }: Pick<ConversionPlan, "checkpoint">): string[] {
  const bytes = new Map<string, number>();
  const tensors: Iterable<CheckpointTensor & Partial<GgufModelTensor>> = checkpoint.tensors.values();
  for (const { type, ggmlType = type, size } of tensors) {
    bytes.set(ggmlType, (bytes.get(ggmlType) ?? 0) + size);
  }
  return [...bytes].sort((a, b) => b[1] - a[1]).map(([type]) => type);
}
