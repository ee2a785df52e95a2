import { feedForwardEntries } from "./folding-places.ts";
import type { Folding } from "./folding.ts";
import type { BlockGraph, FeedForwardGraph, NetworkGraph } from "../forward/graph.ts";

/**
 * What stands around layers that read the same inputs, and gives an output of its own: a feed-forward network, or a mixture of experts.
 * Plain data.
 */
export interface FoldingParent {
  readonly graph: FeedForwardGraph;
  /** Elements of an input. */
  readonly width: number;
  /** Elements between its layers. */
  readonly inner: number;
  /** Tensors that it consists of, weights and biases, by GGUF name. */
  readonly tensors: readonly string[];
}

/**
 * The parent of the layers that read the inputs of a folding. Undefined where there is none that can be computed from single inputs: an
 * output projection is its own, attention needs all inputs before one, and where one norm feeds both there are two.
 */
export function parentOf({ feedForward, tensors }: BlockGraph, folding: Folding): FoldingParent | undefined {
  const entries = feedForwardEntries(feedForward);
  const names = new Set(entries.map(({ module }) => module));
  const readers = folding.readers.map(({ module }) => module);
  if (readers.length !== names.size || !readers.every((reader) => names.has(reader))) return undefined;
  const networks = networksOf(feedForward);
  for (const { down } of networks) names.add(down.module);
  if (feedForward.kind === "experts" && feedForward.selectionBias !== undefined) {
    names.add(feedForward.selectionBias);
  }
  return {
    graph: feedForward,
    width: entries[0]!.inputs,
    inner: networks.reduce((most, { up }) => Math.max(most, up.outputs), 0),
    tensors: tensors.filter((name) => names.has(name.replace(/\.(weight|bias)$/, ""))),
  };
}

function networksOf(feedForward: FeedForwardGraph): NetworkGraph[] {
  const { network } = feedForward;
  const shared = feedForward.kind === "experts" ? feedForward.shared : undefined;
  return shared === undefined ? [network] : [network, shared.network];
}
