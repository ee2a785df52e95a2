import { blockOf } from "./tensor-category.ts";

/**
 * Tensors in the order in which `llama-quantize` writes them: those outside blocks first, then block by block; by name within
 * each (llama-model-loader.h, `weight_name_comparer`).
 */
export function quantizedTensorOrder<Tensor extends { readonly name: string }>(
  tensors: readonly Tensor[],
): Tensor[] {
  return tensors
    .map((tensor) => ({ tensor, block: blockOf(tensor.name) ?? -1 }))
    .sort((a, b) => a.block - b.block || compare(a.tensor.name, b.tensor.name))
    .map(({ tensor }) => tensor);
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
