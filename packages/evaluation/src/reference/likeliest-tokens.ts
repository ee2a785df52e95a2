import type { LogitSummary } from "../measures/score-logits.ts";

/**
 * What is kept of a distribution over a vocabulary: its most likely tokens, and of all others, the tail, two sums. Logarithms are
 * natural.
 */
export interface LikeliestTokens {
  /** Most likely first. */
  readonly tokens: ArrayLike<number>;
  readonly logProbabilities: ArrayLike<number>;
  /** Probability of the tail. */
  readonly tailMass: number;
  /** Mean of the logarithms of the probabilities of the tail, weighted by the probabilities; 0 without a tail. */
  readonly tailLogProbability: number;
}

/**
 * @param params.count Tokens to keep; at most the vocabulary.
 * @param params.summary Of the logits.
 */
export function likeliestTokens(params: {
  readonly logits: Float32Array;
  readonly summary: LogitSummary;
  readonly count: number;
}): LikeliestTokens {
  const { logits, summary, count } = params;
  const { logSum } = summary;
  const tokens = largestIndices(logits, count);
  const kept = new Set(tokens);
  let tailMass = 0;
  let weighted = 0;
  for (let token = 0; token < logits.length; token++) {
    if (kept.has(token)) continue;
    const logProbability = logits[token]! - logSum;
    const probability = Math.exp(logProbability);
    tailMass += probability;
    weighted += probability * logProbability;
  }
  return {
    tokens,
    logProbabilities: tokens.map((token) => logits[token]! - logSum),
    tailMass,
    tailLogProbability: tailMass === 0 ? 0 : weighted / tailMass,
  };
}

/** Indices of the largest values, the largest first; of equal values, the one with the smaller index. */
function largestIndices(values: Float32Array, count: number): number[] {
  /** Whether `a` comes after `b` in the result. */
  const isAfter = (a: number, b: number): boolean => {
    const difference = values[a]! - values[b]!;
    return difference < 0 || (difference === 0 && a > b);
  };
  // A heap with the last of those kept at its root: nearly all values are turned away by one comparison with it.
  const heap: number[] = [];
  const sink = (start: number): void => {
    for (let parent = start; ;) {
      let last = parent;
      for (const child of [2 * parent + 1, 2 * parent + 2]) {
        if (child < heap.length && isAfter(heap[child]!, heap[last]!)) last = child;
      }
      if (last === parent) return;
      [heap[parent], heap[last]] = [heap[last]!, heap[parent]!];
      parent = last;
    }
  };
  const kept = Math.min(count, values.length);
  for (let index = 0; index < kept; index++) heap.push(index);
  for (let parent = (kept >> 1) - 1; parent >= 0; parent--) sink(parent);
  for (let index = kept; index < values.length; index++) {
    // Later indices never win among equals.
    if (values[index]! <= values[heap[0]!]!) continue;
    heap[0] = index;
    sink(0);
  }
  return heap.sort((a, b) => (isAfter(a, b) ? 1 : -1));
}
