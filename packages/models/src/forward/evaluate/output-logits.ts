import type { OutputGraph } from "../graph.ts";
import type { Evaluation } from "./evaluation.ts";
import { applyLinear } from "./linear.ts";
import { applyNorm } from "./norm.ts";

/**
 * Logits of some rows of the last hidden states, rows x tokens of the vocabulary; of an encoder, the hidden states themselves.
 *
 * @param params.hidden rows x width, after the last block; it is left as it is.
 * @param params.evaluation `parameters` must have the tensors of `graph.tensors`.
 */
export function outputLogits(params: {
  readonly graph: OutputGraph;
  readonly evaluation: Evaluation;
  readonly hidden: Float32Array;
  readonly rows: number;
}): Float32Array {
  const { graph, evaluation, hidden, rows } = params;
  const { projection, scale, softCap } = graph;
  const normalized = normalizeOutput({ graph, evaluation, hidden });
  if (projection === undefined) return normalized;
  const logits = applyLinear(evaluation, projection, { input: normalized, rows });
  if (scale !== 1) for (let index = 0; index < logits.length; index++) logits[index]! *= scale;
  if (softCap !== undefined) {
    for (let index = 0; index < logits.length; index++) {
      logits[index] = softCap * Math.tanh(logits[index]! / softCap);
    }
  }
  return logits;
}

/** What the layer that makes logits reads: some rows of the last hidden states, normalized. */
export function normalizeOutput(params: {
  readonly graph: OutputGraph;
  readonly evaluation: Evaluation;
  readonly hidden: Float32Array;
}): Float32Array {
  const { graph, evaluation, hidden } = params;
  return graph.norm === undefined ? hidden : applyNorm(evaluation, graph.norm, hidden);
}
