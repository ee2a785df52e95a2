import type { LogitSummary } from "../measures/score-logits.ts";
import type { LikeliestTokens } from "./likeliest-tokens.ts";

/** A divergence that is not known exactly, nats. */
export interface EstimatedDivergence {
  readonly value: number;
  /** Whatever the tail of the reference looks like, the divergence lies between these. */
  readonly low: number;
  readonly high: number;
}

/**
 * The divergence of a model from a reference of which the most likely tokens are known, and of the tail its mass t and the mean m of
 * its ln p.
 *
 * With u for the model's probability of the tail, the chain rule of the divergence says
 *
 *     KLD = sum over kept tokens of p ln(p / q)  +  t ln(t / u)  +  t D
 *
 * where D >= 0 is the divergence within the tail. The first two are exact, and with D = 0 the least that is possible. The most comes
 * of no token of the tail being less likely to the model than its least likely one there, q': t (m - ln q') in place of both terms of
 * the tail. D itself is taken to be what the less likely half of the kept tokens have among themselves.
 *
 * Stored in single precision, logarithms of probabilities add an error of less than 1e-6.
 */
export function compareWithLikeliest(params: {
  readonly reference: LikeliestTokens;
  readonly logits: Float32Array;
  /** Of the logits. */
  readonly summary: LogitSummary;
}): EstimatedDivergence {
  const { reference, logits, summary } = params;
  const { tokens, logProbabilities, tailMass, tailLogProbability } = reference;
  const { logSum } = summary;
  let kept = 0;
  for (let place = 0; place < tokens.length; place++) {
    const logP = logProbabilities[place]!;
    kept += Math.exp(logP) * (logP - logits[tokens[place]!]! + logSum);
  }
  if (tailMass === 0) {
    const value = Math.max(kept, 0);
    return { value, low: value, high: value };
  }
  const tail = tailOf(params);
  const low = Math.max(kept + tailMass * Math.log(tailMass / tail.mass), 0);
  const high = Math.max(kept + tailMass * (tailLogProbability - tail.leastLogProbability), low);
  return { value: Math.min(low + tailMass * divergenceOfLessLikely(params), high), low, high };
}

/** What the model makes of the tokens that the reference does not keep. */
function tailOf({ reference, logits, summary: { logSum } }: Parameters<typeof compareWithLikeliest>[0]): {
  mass: number;
  leastLogProbability: number;
} {
  const kept = new Set<number>();
  for (let place = 0; place < reference.tokens.length; place++) kept.add(reference.tokens[place]!);
  let mass = 0;
  let least = Number.POSITIVE_INFINITY;
  for (let token = 0; token < logits.length; token++) {
    if (kept.has(token)) continue;
    const logit = logits[token]!;
    mass += Math.exp(logit - logSum);
    if (logit < least) least = logit;
  }
  // Probabilities too small for a number stay above 0.
  return { mass: Math.max(mass, Number.MIN_VALUE), leastLogProbability: least - logSum };
}

function divergenceOfLessLikely({
  reference: { tokens, logProbabilities },
  logits,
  summary: { logSum },
}: Parameters<typeof compareWithLikeliest>[0]): number {
  let [ofReference, ofModel, weighted] = [0, 0, 0];
  for (let place = tokens.length >> 1; place < tokens.length; place++) {
    const logP = logProbabilities[place]!;
    const logQ = logits[tokens[place]!]! - logSum;
    const p = Math.exp(logP);
    ofReference += p;
    ofModel += Math.exp(logQ);
    weighted += p * (logP - logQ);
  }
  if (ofReference === 0 || ofModel === 0) return 0;
  return Math.max(weighted / ofReference - Math.log(ofReference / ofModel), 0);
}
