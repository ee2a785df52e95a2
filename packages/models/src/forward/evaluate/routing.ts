import type { ExpertsGraph } from "../graph.ts";

/** Least sum that weights are divided by (llama-graph.cpp, `build_moe_ffn`: the least normal F16). */
const LEAST_SUM = 2 ** -14;

/** The tokens of an expert and what its results count for. */
export interface Route {
  readonly tokens: readonly number[];
  readonly weights: readonly number[];
}

/**
 * Chooses the experts of every token.
 *
 * @param params.logits Results of the router, tokens x experts.
 * @param params.selectionBias Added for the choice, not to the weights.
 * @returns the route of each expert, tokens in ascending order
 */
export function routeTokens(
  graph: Pick<ExpertsGraph, "gating" | "normalized" | "scale" | "used" | "groups">,
  params: {
    readonly logits: Float32Array;
    readonly tokens: number;
    readonly selectionBias?: Float32Array | undefined;
  },
): readonly Route[] {
  const { logits, tokens, selectionBias } = params;
  const experts = logits.length / tokens;
  const routes = Array.from({ length: experts }, () => ({ tokens: [] as number[], weights: [] as number[] }));
  for (let token = 0; token < tokens; token++) {
    const scores = GATES[graph.gating]([...logits.subarray(token * experts, (token + 1) * experts)]);
    const biased = scores.map((score, expert) => score + (selectionBias?.[expert] ?? 0));
    const chosen = best(inBestGroups(graph.groups, biased), graph.used);
    const weights = weightsOf(
      graph,
      chosen.map((expert) => scores[expert]!),
    );
    for (const [index, expert] of chosen.entries()) {
      routes[expert]!.tokens.push(token);
      routes[expert]!.weights.push(weights[index]!);
    }
  }
  return routes;
}

const GATES: Readonly<Record<ExpertsGraph["gating"], (logits: readonly number[]) => readonly number[]>> = {
  softmax,
  sigmoid: (logits) => logits.map((logit) => 1 / (1 + Math.exp(-logit))),
  "selected-softmax": (logits) => logits,
};

function weightsOf(
  { gating, normalized, scale }: Pick<ExpertsGraph, "gating" | "normalized" | "scale">,
  scores: readonly number[],
): readonly number[] {
  const weights = gating === "selected-softmax" ? softmax(scores) : scores;
  const sum = normalized
    ? Math.max(
        weights.reduce((total, weight) => total + weight, 0),
        LEAST_SUM,
      )
    : 1;
  return weights.map((weight) => (weight / sum) * scale);
}

function softmax(logits: readonly number[]): readonly number[] {
  const largest = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** Scores, with -Infinity for the experts of all but the best groups (DeepSeek V2 and V3). */
function inBestGroups(groups: ExpertsGraph["groups"], scores: readonly number[]): readonly number[] {
  if (groups === undefined) return scores;
  const size = scores.length / groups.count;
  const merits = Array.from({ length: groups.count }, (_, group) => {
    const [first = 0, second = 0] = scores.slice(group * size, (group + 1) * size).sort((a, b) => b - a);
    return groups.score === "best" ? first : first + second;
  });
  const kept = new Set(best(merits, groups.used));
  return scores.map((score, expert) => (kept.has(Math.floor(expert / size)) ? score : -Infinity));
}

/** Indices of the largest values, the first ones of equals. */
function best(values: readonly number[], count: number): readonly number[] {
  return values
    .map((_, index) => index)
    .sort((a, b) => values[b]! - values[a]! || a - b)
    .slice(0, count);
}
