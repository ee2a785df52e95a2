import { applyAttention, applyFeedForward } from "../forward/evaluate/evaluate-block.ts";
import type { Evaluation } from "../forward/evaluate/evaluation.ts";
import { sequencesOf } from "../forward/evaluate/sequences.ts";
import type {
  AttentionGraph,
  BlockGraph,
  FeedForwardGraph,
  LinearGraph,
  NetworkGraph,
} from "../forward/graph.ts";
import { attentionEntries, feedForwardEntries } from "./folding-places.ts";
import type { Folding } from "./folding.ts";

/**
 * What stands around layers that read the same inputs, and gives an output of its own: attention, a feed-forward network, or a mixture of
 * experts; without the norms before and after. Plain data.
 */
export type FoldingParent = {
  /** Elements of an input. */
  readonly width: number;
  /** Most elements that a token has inside. */
  readonly inner: number;
  /** Tensors that it consists of, weights and biases, by GGUF name. */
  readonly tensors: readonly string[];
} & (
  | { readonly kind: "attention"; readonly graph: AttentionGraph }
  | { readonly kind: "feed-forward"; readonly graph: FeedForwardGraph }
);

/** Inputs of a parent. */
export interface ParentInput {
  /** Tokens x width. */
  readonly rows: Float32Array;
  /** Tokens that begin a sequence, where the parent is attention. @default one sequence */
  readonly starts?: readonly number[];
}

/**
 * The parent of the layers that read the inputs of a folding. Undefined for layers that are their own, such as output projections, and
 * where one norm feeds both parts of a block.
 */
export function parentOf(block: BlockGraph, folding: Folding): FoldingParent | undefined {
  const { attention, feedForward, tensors } = block;
  const inFeedForward = feedForwardModules(feedForward);
  const isInFeedForward = (name: string): boolean => inFeedForward.has(name.replace(/\.(weight|bias)$/, ""));
  const common = { width: folding.columns };
  if (reads(folding, feedForwardEntries(feedForward))) {
    const inner = networksOf(feedForward).reduce((most, { up }) => Math.max(most, up.outputs), 0);
    return {
      ...common,
      kind: "feed-forward",
      graph: feedForward,
      inner,
      tensors: tensors.filter(isInFeedForward),
    };
  }
  if (!reads(folding, attentionEntries(attention))) return undefined;
  return {
    ...common,
    kind: "attention",
    graph: attention,
    inner: attentionInner(attention),
    tensors: tensors.filter((name) => !isInFeedForward(name)),
  };
}

/** The output of a parent, tokens x width. @throws QuernError the codes of `evaluateBlock` */
export function applyParent(
  evaluation: Evaluation,
  parent: FoldingParent,
  { rows, starts }: ParentInput,
): Float32Array {
  const tokens = rows.length / parent.width;
  return parent.kind === "attention"
    ? applyAttention(evaluation, parent.graph, {
        input: rows,
        tokens,
        sequences: sequencesOf(tokens, starts),
      })
    : applyFeedForward(evaluation, parent.graph, rows, tokens);
}

function reads({ readers }: Folding, layers: readonly LinearGraph[]): boolean {
  const modules = new Set(layers.map(({ module }) => module));
  return readers.length === modules.size && readers.every(({ module }) => modules.has(module));
}

function attentionInner(attention: AttentionGraph): number {
  const { heads, output } = attention;
  if (attention.kind === "latent") return Math.max(heads * attention.keyValueDown.outputs, output.inputs);
  return Math.max(heads * attention.headSize, output.inputs);
}

function networksOf(feedForward: FeedForwardGraph): NetworkGraph[] {
  const { network } = feedForward;
  const shared = feedForward.kind === "experts" ? feedForward.shared : undefined;
  return shared === undefined ? [network] : [network, shared.network];
}

function feedForwardModules(feedForward: FeedForwardGraph): Set<string> {
  const layers = [...feedForwardEntries(feedForward), ...networksOf(feedForward).map(({ down }) => down)];
  const names = layers.map(({ module }) => module);
  const bias = feedForward.kind === "experts" ? feedForward.selectionBias : undefined;
  return new Set(bias === undefined ? names : [...names, bias]);
}
