import type { TensorInfo } from "@quern/tensor";
import type { ModelTensor } from "../model.ts";
import type { PlacedTensor } from "./place-tensor.ts";

/**
 * Tensors in the order of llama.cpp's converter: those that are in ggml's blocks already first, then by the place in the
 * checkpoint of the last tensor that goes in. Ties keep the order of the record.
 */
export function inFileOrder(
  placed: readonly PlacedTensor[],
  tensors: ReadonlyMap<string, TensorInfo>,
): ModelTensor[] {
  const positions = new Map([...tensors.keys()].map((name, index) => [name, index]));
  const own = placed.map(({ sources }) => Math.max(...sources.map((name) => positions.get(name)!)));
  const groups = new Map<string, number>();
  for (const [index, { group }] of placed.entries()) {
    if (group !== undefined) groups.set(group, Math.max(groups.get(group) ?? 0, own[index]!));
  }
  return placed
    .map(({ tensor, packed, group }, index) => ({
      tensor,
      packed,
      position: group === undefined ? own[index]! : groups.get(group)!,
    }))
    .sort((a, b) => Number(b.packed) - Number(a.packed) || a.position - b.position)
    .map(({ tensor }) => tensor);
}
