import type { AttentionGraph, BlockGraph, FeedForwardGraph, NormGraph } from "../graph.ts";
import { copyNumbers, type Evaluation, keepingResult } from "./evaluation.ts";
import { applyExperts } from "./experts.ts";
import { applyNetwork } from "./feed-forward.ts";
import { applyHeadsAttention } from "./heads-attention.ts";
import { applyLatentAttention } from "./latent-attention.ts";
import { applyNorm } from "./norm.ts";
import { type Sequence, sequencesOf } from "./sequences.ts";

/**
 * The hidden states of a window after a block.
 *
 * @param params.hidden tokens x width, before the block; it is left as it is.
 * @param params.starts Tokens that begin a sequence, in ascending order: their position is 0, and attention does not reach across
 * them. Default: one sequence.
 * @param params.evaluation `parameters` must have the tensors of `graph.tensors`.
 * @throws QuernError `FORWARD_TENSOR_MISSING`, `FORWARD_TENSOR_INVALID` when a parameter is missing or not stored as it has to be
 */
export function evaluateBlock(params: {
  readonly graph: BlockGraph;
  readonly evaluation: Evaluation;
  readonly hidden: Float32Array;
  readonly tokens: number;
  readonly starts?: readonly number[];
}): Float32Array {
  const { graph, evaluation, hidden, tokens, starts } = params;
  const { attention, feedForward, parallel, residualScale } = graph;
  const { math } = evaluation.kernels;
  const add = (x: Float32Array, y: Float32Array): void => math.addScaled({ x, y, alpha: residualScale });
  const norms = new SharedNorms(evaluation);

  // Norms may be shared, and outlast the part that they are for.
  const attentionInput = norms.apply(attention.norms.before, hidden);
  const sequences = sequencesOf(tokens, starts);
  const attended = normalize(
    evaluation,
    attention.norms.after,
    keepingResult(evaluation, () =>
      applyAttention(evaluation, attention, { input: attentionInput, tokens, sequences }),
    ),
  );
  const feed = (states: Float32Array): Float32Array => {
    const input = norms.apply(feedForward.norms.before, states);
    return normalize(
      evaluation,
      feedForward.norms.after,
      keepingResult(evaluation, () => applyFeedForward(evaluation, feedForward, input, tokens)),
    );
  };
  const middle = copyNumbers(evaluation, hidden);
  add(attended, middle);
  if (parallel) {
    add(feed(hidden), middle);
    return middle;
  }
  const residual = normalize(evaluation, attention.norms.residual, middle);
  const result = copyNumbers(evaluation, residual);
  add(feed(residual), result);
  return normalize(evaluation, feedForward.norms.residual, result);
}

/** What attention makes of what its norm has made; input and result are tokens x width. */
export function applyAttention(
  evaluation: Evaluation,
  graph: AttentionGraph,
  params: { readonly input: Float32Array; readonly tokens: number; readonly sequences: readonly Sequence[] },
): Float32Array {
  return graph.kind === "latent"
    ? applyLatentAttention(evaluation, graph, params)
    : applyHeadsAttention(evaluation, graph, params);
}

/** What a feed-forward network or a mixture of experts makes of what its norm has made; input and result are tokens x width. */
export function applyFeedForward(
  evaluation: Evaluation,
  graph: FeedForwardGraph,
  input: Float32Array,
  tokens: number,
): Float32Array {
  return graph.kind === "experts"
    ? applyExperts(evaluation, graph, { input, tokens })
    : applyNetwork(evaluation, graph.network, { input, rows: tokens });
}

function normalize(evaluation: Evaluation, norm: NormGraph | undefined, x: Float32Array): Float32Array {
  return norm === undefined ? x : applyNorm(evaluation, norm, x);
}

/** Norms of which attention and feed-forward may share one: it is computed once, and its readers get the same array. */
class SharedNorms {
  readonly #evaluation: Evaluation;
  #last?: { readonly module: string; readonly input: Float32Array; readonly result: Float32Array };

  constructor(evaluation: Evaluation) {
    this.#evaluation = evaluation;
  }

  apply(norm: NormGraph | undefined, input: Float32Array): Float32Array {
    if (norm === undefined) return input;
    if (this.#last?.module === norm.module && this.#last.input === input) return this.#last.result;
    const result = applyNorm(this.#evaluation, norm, input);
    this.#last = { module: norm.module, input, result };
    return result;
  }
}
