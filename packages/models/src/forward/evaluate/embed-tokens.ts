import { QuernError } from "@quern/tensor";
import type { EmbeddingGraph } from "../graph.ts";
import { numbersOf, parameterOf } from "../parameters.ts";
import { type Evaluation, takeNumbers } from "./evaluation.ts";
import { applyNorm } from "./norm.ts";
import { rowsOf, type Sequence, sequencesOf } from "./sequences.ts";

/**
 * The hidden states of a window before the first block, tokens x width.
 *
 * @param params.starts Tokens that begin a sequence, in ascending order. Default: one sequence.
 * @param params.evaluation `parameters` must have the tensors of `graph.tensors`.
 * @throws QuernError `FORWARD_TOKENS` for an id that the vocabulary lacks or more tokens than the model has positions, and the
 * codes of `evaluateBlock`
 */
export function embedTokens(params: {
  readonly graph: EmbeddingGraph;
  readonly evaluation: Evaluation;
  readonly tokens: readonly number[] | Int32Array;
  readonly starts?: readonly number[];
}): Float32Array {
  const { graph, evaluation, tokens } = params;
  const sequences = sequencesOf(tokens.length, params.starts);
  const { kernels, parameters } = evaluation;
  const { width, scale, positions, tokenTypes, norm } = graph;
  checkTokens(graph, tokens, sequences);
  const { type, data } = parameterOf(parameters, `${graph.module}.weight`);
  const rowLength = data.length / graph.tokens;
  const hidden = takeNumbers(evaluation, tokens.length * width);
  for (const [index, token] of tokens.entries()) {
    const target = hidden.subarray(index * width, (index + 1) * width);
    const row = data.subarray(token * rowLength, (token + 1) * rowLength);
    if (row instanceof Float32Array) target.set(row);
    else kernels.dequantize({ type, source: row, target, rows: 1, columns: width });
  }
  if (scale !== 1) for (let index = 0; index < hidden.length; index++) hidden[index]! *= scale;
  if (tokenTypes !== undefined) {
    const first = numbersOf(parameters, `${tokenTypes}.weight`).subarray(0, width);
    kernels.math.addBias({ y: hidden, bias: first, rows: tokens.length, columns: width });
  }
  if (positions !== undefined) {
    const table = numbersOf(parameters, `${positions.module}.weight`);
    for (const sequence of sequences) {
      const y = rowsOf(hidden, sequence, width);
      kernels.math.addScaled({ x: table.subarray(0, y.length), y });
    }
  }
  return norm === undefined ? hidden : applyNorm(evaluation, norm, hidden);
}

function checkTokens(
  graph: EmbeddingGraph,
  tokens: readonly number[] | Int32Array,
  sequences: readonly Sequence[],
): void {
  const limit = graph.positions?.count ?? Infinity;
  const longest = Math.max(...sequences.map((sequence) => sequence.tokens));
  if (longest > limit) {
    throw new QuernError(
      "FORWARD_TOKENS",
      `a sequence of ${longest} tokens: the model has positions for ${limit}`,
    );
  }
  const wrong = tokens.findIndex(
    (token: number) => !Number.isInteger(token) || token < 0 || token >= graph.tokens,
  );
  if (wrong < 0) return;
  throw new QuernError(
    "FORWARD_TOKENS",
    `token ${wrong} of the window is ${tokens[wrong]}: expected an id from 0 to ${graph.tokens - 1}`,
    { subject: { offset: wrong } },
  );
}
