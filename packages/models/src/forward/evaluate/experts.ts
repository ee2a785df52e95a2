import type { ExpertsGraph } from "../graph.ts";
import { numbersOf } from "../parameters.ts";
import { type Evaluation, scoped, takeNumbers } from "./evaluation.ts";
import { applyNetwork, applyNetworkWith } from "./feed-forward.ts";
import { applyLinear, applyMatrix } from "./linear.ts";
import { routeTokens } from "./routing.ts";

/** A mixture of experts; input and result are tokens x width. */
export function applyExperts(
  evaluation: Evaluation,
  graph: ExpertsGraph,
  { input, tokens }: { readonly input: Float32Array; readonly tokens: number },
): Float32Array {
  const { router, selectionBias, network } = graph;
  const width = router.inputs;
  const routes = routeTokens(graph, {
    logits: applyLinear(evaluation, router, { input, rows: tokens }),
    tokens,
    selectionBias:
      selectionBias === undefined ? undefined : numbersOf(evaluation.parameters, `${selectionBias}.bias`),
  });
  const result = takeNumbers(evaluation, tokens * width).fill(0);
  for (const [matrix, route] of routes.entries()) {
    const rows = route.tokens.length;
    if (rows === 0) continue;
    scoped(evaluation, () => {
      const own = takeNumbers(evaluation, rows * width);
      for (const [row, token] of route.tokens.entries()) {
        own.set(input.subarray(token * width, (token + 1) * width), row * width);
      }
      const output = applyNetworkWith(evaluation, network, {
        input: own,
        rows,
        apply: (layer, values) => applyMatrix(evaluation, layer, { input: values, rows, matrix }),
      });
      for (const [row, token] of route.tokens.entries()) {
        evaluation.kernels.math.addScaled({
          x: output.subarray(row * width, (row + 1) * width),
          y: result.subarray(token * width, (token + 1) * width),
          alpha: route.weights[row]!,
        });
      }
    });
  }
  if (graph.shared !== undefined) addShared(evaluation, graph.shared, { input, tokens, result });
  return result;
}

function addShared(
  evaluation: Evaluation,
  { network, router }: NonNullable<ExpertsGraph["shared"]>,
  { input, tokens, result }: { input: Float32Array; tokens: number; result: Float32Array },
): void {
  const { math } = evaluation.kernels;
  const output = applyNetwork(evaluation, network, { input, rows: tokens });
  if (router === undefined) {
    math.addScaled({ x: output, y: result });
    return;
  }
  const weights = applyLinear(evaluation, router, { input, rows: tokens });
  math.activate({ kind: "sigmoid", x: weights, y: weights });
  const width = output.length / tokens;
  for (let token = 0; token < tokens; token++) {
    math.addScaled({
      x: output.subarray(token * width, (token + 1) * width),
      y: result.subarray(token * width, (token + 1) * width),
      alpha: weights[token]!,
    });
  }
}
