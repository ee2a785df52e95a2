import { describe, expect, it } from "vitest";
import { routeTokens } from "./routing.ts";

const GRAPH = { gating: "softmax", normalized: false, scale: 1, used: 2 } as const;

const exponentials = (...logits: number[]): number[] => logits.map((logit) => Math.exp(logit));
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** The weight of each expert for the only token. */
function weightsOf(
  graph: Parameters<typeof routeTokens>[0],
  logits: readonly number[],
  selectionBias?: readonly number[],
): (number | undefined)[] {
  const routes = routeTokens(graph, {
    logits: Float32Array.from(logits),
    tokens: 1,
    selectionBias: selectionBias && Float32Array.from(selectionBias),
  });
  return routes.map(({ weights }) => weights[0]);
}

describe("routeTokens", () => {
  it("weights the best experts by their share of all", () => {
    const all = exponentials(1, 3, 2, 0);
    const weights = weightsOf(GRAPH, [1, 3, 2, 0]);
    expect(weights[0]).toBeUndefined();
    expect(weights[1]).toBeCloseTo(all[1]! / sum(all), 12);
    expect(weights[2]).toBeCloseTo(all[2]! / sum(all), 12);
    expect(weights[3]).toBeUndefined();
  });

  it("makes weights add up to the scale", () => {
    const [, first, second] = weightsOf({ ...GRAPH, normalized: true, scale: 2.5 }, [1, 3, 2, 0]);
    expect(first! + second!).toBeCloseTo(2.5, 12);
    expect(first! / second!).toBeCloseTo(Math.E, 6);
  });

  it("compares only the chosen ones in a softmax over these", () => {
    const [, first, second] = weightsOf({ ...GRAPH, gating: "selected-softmax" }, [1, 3, 2, 0]);
    expect(first! + second!).toBeCloseTo(1, 12);
    expect(first).toBeCloseTo(1 / (1 + Math.exp(-1)), 12);
  });

  it("chooses with the bias and weights without it", () => {
    const weights = weightsOf({ ...GRAPH, gating: "sigmoid", used: 1 }, [2, 1, 0], [0, 0, 5]);
    expect(weights).toEqual([undefined, undefined, 0.5]);
  });

  it("takes the first of equals", () => {
    expect(weightsOf({ ...GRAPH, used: 1 }, [1, 1, 1])).toEqual([expect.any(Number), undefined, undefined]);
  });

  it("keeps to the best groups, by their best expert or their two best", () => {
    const logits = [3, -9, 2, 2];
    const chosen = (score: "best" | "best-two"): number[] => {
      const groups = { count: 2, used: 1, score };
      const weights = weightsOf({ ...GRAPH, gating: "sigmoid", groups }, logits);
      return weights.flatMap((weight, expert) => (weight === undefined ? [] : [expert]));
    };
    expect(chosen("best")).toEqual([0, 1]);
    expect(chosen("best-two")).toEqual([2, 3]);
  });

  it("gives every expert its tokens in order", () => {
    const routes = routeTokens(
      { ...GRAPH, used: 1 },
      { logits: Float32Array.of(1, 0, 0, 1, 1, 0), tokens: 3 },
    );
    expect(routes.map(({ tokens }) => tokens)).toEqual([[0, 2], [1]]);
  });
});
