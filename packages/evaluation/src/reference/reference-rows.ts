import { likeliestTokens, type LikeliestTokens } from "./likeliest-tokens.ts";
import type { LogitSummary } from "../measures/score-logits.ts";

/** What is kept of a reference at positions next to each other: plain data, in single precision. */
export interface ReferenceRows {
  /** Tokens of each position. */
  readonly likeliest: number;
  /** Positions x likeliest; see `LikeliestTokens`. */
  readonly tokens: Int32Array;
  readonly logProbabilities: Float32Array;
  /** Of each position. */
  readonly tailMass: Float32Array;
  readonly tailLogProbability: Float32Array;
  /** Logarithm of the probability of the right token. */
  readonly right: Float32Array;
}

/** Rows to be filled by {@link keepRow}. */
export function emptyRows(positions: number, likeliest: number): ReferenceRows {
  return {
    likeliest,
    tokens: new Int32Array(positions * likeliest),
    logProbabilities: new Float32Array(positions * likeliest),
    tailMass: new Float32Array(positions),
    tailLogProbability: new Float32Array(positions),
    right: new Float32Array(positions),
  };
}

/** Keeps what there is to keep of a row of logits; the vocabulary has at least as many tokens as are kept. */
export function keepRow(
  rows: ReferenceRows,
  position: number,
  params: { readonly logits: Float32Array; readonly summary: LogitSummary; readonly right: number },
): void {
  const { logits, summary, right } = params;
  const kept = likeliestTokens({ logits, summary, count: rows.likeliest });
  rows.tokens.set(kept.tokens, position * rows.likeliest);
  rows.logProbabilities.set(kept.logProbabilities, position * rows.likeliest);
  rows.tailMass[position] = kept.tailMass;
  rows.tailLogProbability[position] = kept.tailLogProbability;
  rows.right[position] = logits[right]! - summary.logSum;
}

export function rowAt(rows: ReferenceRows, position: number): LikeliestTokens {
  const [start, end] = [position * rows.likeliest, (position + 1) * rows.likeliest];
  return {
    tokens: rows.tokens.subarray(start, end),
    logProbabilities: rows.logProbabilities.subarray(start, end),
    tailMass: rows.tailMass[position]!,
    tailLogProbability: rows.tailLogProbability[position]!,
  };
}
