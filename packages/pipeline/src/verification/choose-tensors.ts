import type { ManifestTensor } from "@quern/manifest";
import { sha256Of } from "@quern/tensor/node";

/**
 * Chooses some tensors, the same for the same seed: as many of each type as there is room for, in turns, and within a type spread over
 * sizes.
 *
 * @param params.count Most of them.
 * @returns in the order given
 */
export function chooseTensors(params: {
  readonly tensors: readonly ManifestTensor[];
  readonly count: number;
  readonly seed: number;
}): ManifestTensor[] {
  const { tensors, count, seed } = params;
  const byType = new Map<string, ManifestTensor[]>();
  for (const tensor of tensors) {
    const group = byType.get(tensor.type);
    if (group === undefined) byType.set(tensor.type, [tensor]);
    else group.push(tensor);
  }
  const shares = sharesOf(
    [...byType.values()].map(({ length }) => length),
    count,
  );
  const chosen = new Set([...byType.values()].flatMap((group, index) => spread(group, shares[index]!, seed)));
  return tensors.filter((tensor) => chosen.has(tensor));
}

/** How many of each group, dealt in turns. */
function sharesOf(sizes: readonly number[], count: number): number[] {
  const shares = sizes.map(() => 0);
  let left = Math.min(
    count,
    sizes.reduce((sum, size) => sum + size, 0),
  );
  while (left > 0) {
    for (const [index, size] of sizes.entries()) {
      if (left === 0) break;
      if (shares[index]! >= size) continue;
      shares[index]!++;
      left--;
    }
  }
  return shares;
}

/** One of each part of the tensors by size: the one whose name has the lowest hash. */
function spread(group: readonly ManifestTensor[], count: number, seed: number): ManifestTensor[] {
  const bySize = group.toSorted((a, b) => a.bytes - b.bytes);
  return Array.from({ length: count }, (_, part) => {
    const first = Math.floor((part * bySize.length) / count);
    const end = Math.floor(((part + 1) * bySize.length) / count);
    return bySize
      .slice(first, end)
      .map((tensor) => ({ tensor, rank: rankOf(tensor, seed) }))
      .reduce((best, next) => (next.rank < best.rank ? next : best)).tensor;
  });
}

function rankOf({ name }: ManifestTensor, seed: number): string {
  return sha256Of(`${seed}\n${name}`);
}
