import type { LatentAttentionGraph, StackedLinearGraph } from "../graph.ts";
import { columns, setColumns } from "./columns.ts";
import { type Evaluation, scoped, takeNumbers } from "./evaluation.ts";
import { applyLinear, applyMatrix } from "./linear.ts";
import { applyNorm } from "./norm.ts";
import { rotaryTable } from "./rotary.ts";
import { rowsOf, type Sequence } from "./sequences.ts";

/**
 * Attention through latent vectors, as llama.cpp computes it (deepseek2.cpp): queries are brought into the latent space, so that
 * all heads share one key (latent vector and positions) and one value (latent vector), and results are brought back.
 */
export function applyLatentAttention(
  evaluation: Evaluation,
  graph: LatentAttentionGraph,
  params: { readonly input: Float32Array; readonly tokens: number; readonly sequences: readonly Sequence[] },
): Float32Array {
  const { input, tokens, sequences } = params;
  const { heads, keyUp, valueUp, scale } = graph;
  const latent = valueUp.inputs;
  const keySize = graph.keyValueDown.outputs;
  const rotated = keySize - latent;

  const compressed = applyLinear(evaluation, graph.keyValueDown, { input, rows: tokens });
  const [latents, keyPositions] = split(evaluation, compressed, latent, rotated);
  const [plain, queryPositions] = split(
    evaluation,
    queriesOf(evaluation, graph, input, tokens),
    keyUp.inputs,
    rotated,
  );
  const values = applyNorm(evaluation, graph.keyValueNorm, latents);
  if (graph.rope !== undefined) {
    const { layout } = graph.rope;
    for (const sequence of sequences) {
      const table = rotaryTable(evaluation, graph.rope, sequence.tokens);
      const common = { tokens: sequence.tokens, headSize: rotated, rotated, layout, ...table };
      const ownQueries = rowsOf(queryPositions, sequence, heads * rotated);
      evaluation.kernels.math.rope({ ...common, x: ownQueries, heads });
      evaluation.kernels.math.rope({ ...common, x: rowsOf(keyPositions, sequence, rotated), heads: 1 });
    }
  }

  const queries = join(
    evaluation,
    applyToHeads(evaluation, keyUp, plain, tokens),
    queryPositions,
    latent,
    rotated,
  );
  const keys = join(evaluation, values, keyPositions, latent, rotated);
  const mixed = takeNumbers(evaluation, tokens * heads * latent);
  for (const sequence of sequences) {
    evaluation.kernels.math.attention({
      q: rowsOf(queries, sequence, heads * keySize),
      k: rowsOf(keys, sequence, keySize),
      v: rowsOf(values, sequence, latent),
      y: rowsOf(mixed, sequence, heads * latent),
      tokens: sequence.tokens,
      keys: sequence.tokens,
      heads,
      kvHeads: 1,
      headSize: keySize,
      valueSize: latent,
      scale,
      before: Infinity,
      after: 0,
    });
  }
  const result = applyToHeads(evaluation, valueUp, mixed, tokens);
  return applyLinear(evaluation, graph.output, { input: result, rows: tokens });
}

function queriesOf(
  evaluation: Evaluation,
  { query, compressedQuery }: LatentAttentionGraph,
  input: Float32Array,
  rows: number,
): Float32Array {
  if (compressedQuery === undefined) return applyLinear(evaluation, query, { input, rows });
  const down = applyLinear(evaluation, compressedQuery.down, { input, rows });
  const normalized = applyNorm(evaluation, compressedQuery.norm, down);
  return applyLinear(evaluation, query, { input: normalized, rows });
}

/** Each head of a matrix, tokens x heads x inputs, through its own layer: tokens x heads x outputs. */
function applyToHeads(
  evaluation: Evaluation,
  layer: StackedLinearGraph,
  input: Float32Array,
  tokens: number,
): Float32Array {
  const { matrices, inputs, outputs } = layer;
  const result = takeNumbers(evaluation, tokens * matrices * outputs);
  for (let head = 0; head < matrices; head++) {
    scoped(evaluation, () => {
      const own = columns(evaluation, {
        matrix: input,
        rows: tokens,
        stride: matrices * inputs,
        start: head * inputs,
        width: inputs,
      });
      setColumns({
        target: result,
        rows: tokens,
        stride: matrices * outputs,
        start: head * outputs,
        source: applyMatrix(evaluation, layer, { input: own, rows: tokens, matrix: head }),
      });
    });
  }
  return result;
}

/** The first and the second part of rows of both. */
function split(
  evaluation: Evaluation,
  matrix: Float32Array,
  first: number,
  second: number,
): [Float32Array, Float32Array] {
  const stride = first + second;
  const rows = matrix.length / stride;
  return [
    columns(evaluation, { matrix, rows, stride, start: 0, width: first }),
    columns(evaluation, { matrix, rows, stride, start: first, width: second }),
  ];
}

/** The opposite of `split`. */
function join(
  evaluation: Evaluation,
  a: Float32Array,
  b: Float32Array,
  first: number,
  second: number,
): Float32Array {
  const stride = first + second;
  const rows = a.length / first;
  const target = takeNumbers(evaluation, rows * stride);
  setColumns({ target, rows, stride, start: 0, source: a });
  setColumns({ target, rows, stride, start: first, source: b });
  return target;
}
