import { QuernError } from "@quern/tensor";

/** What is left of a model. */
export interface PrunedModel<Tensor> {
  /** In the order given, with their new names. */
  readonly tensors: readonly Tensor[];
  /** For `block_count`; absent when nothing was to be pruned. */
  readonly blocks?: number;
}

/**
 * Leaves out blocks and gives those behind them the numbers that become free, as `llama-quantize --prune-layers` does
 * (llama-quant.cpp of llama.cpp v0.5.0, `remap_layer`). Blocks with the same number in encoder and decoder go together.
 *
 * @throws QuernError `RECIPE_PRUNE_LAYERS` for a block that is not there, or when none would be left
 */
export function pruneLayers<Tensor extends { readonly name: string }>(
  tensors: readonly Tensor[],
  layers: readonly number[],
): PrunedModel<Tensor> {
  if (layers.length === 0) return { tensors };
  const blocks = new Set(tensors.flatMap(({ name }) => BLOCK.exec(name)?.[1] ?? []).map(Number));
  const numbers = renumbered(
    [...blocks].sort((a, b) => a - b),
    checkedLayers(blocks, layers),
  );
  const left = tensors.flatMap((tensor) => {
    const block = BLOCK.exec(tensor.name)?.[1];
    if (block === undefined) return [tensor];
    const number = numbers.get(Number(block));
    return number === undefined ? [] : [{ ...tensor, name: tensor.name.replace(BLOCK, `blk.${number}.`) }];
  });
  return { tensors: left, blocks: Math.max(...numbers.values()) + 1 };
}

const BLOCK = /blk\.(\d+)\./;

function checkedLayers(blocks: ReadonlySet<number>, layers: readonly number[]): ReadonlySet<number> {
  const pruned = new Set(layers);
  const unknown = layers.find((layer) => !blocks.has(layer));
  if (unknown === undefined && pruned.size < blocks.size) return pruned;
  const problem =
    unknown === undefined
      ? `none of the ${blocks.size} blocks would be left`
      : `there is no block ${unknown}: expected numbers among ${[...blocks].sort((a, b) => a - b).join(", ")}`;
  throw new QuernError("RECIPE_PRUNE_LAYERS", `pruneLayers: ${problem}`, { subject: { key: "pruneLayers" } });
}

/** Numbers of the blocks that stay, by their old ones: those in front of the first gap that pruning makes keep theirs. */
function renumbered(blocks: readonly number[], pruned: ReadonlySet<number>): ReadonlyMap<number, number> {
  const first = Math.min(...pruned);
  const numbers = new Map<number, number>();
  let next = 0;
  for (const block of blocks) {
    if (pruned.has(block)) continue;
    const number = block < first ? block : next;
    numbers.set(block, number);
    next = number + 1;
  }
  return numbers;
}
