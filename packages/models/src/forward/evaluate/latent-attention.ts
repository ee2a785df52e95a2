import type { LatentAttentionGraph } from "../graph.ts";
import { columns, setColumns } from "./columns.ts";
import type { Evaluation } from "./evaluation.ts";
import { applyLinear, applyMatrix } from "./linear.ts";
import { applyNorm } from "./norm.ts";
import { rotaryTable } from "./rotary.ts";

/**
 * Attention through latent vectors, as llama.cpp computes it (deepseek2.cpp): queries are brought into the latent space, so that
 * all heads share one key (latent vector and positions) and one value (latent vector), and results are brought back.
 */
export function applyLatentAttention(
  evaluation: Evaluation,
  graph: LatentAttentionGraph,
  { input, tokens }: { readonly input: Float32Array; readonly tokens: number },
): Float32Array {
  const { kernels } = evaluation;
  const { heads, keyUp, valueUp, keyValueDown, scale } = graph;
  const latent = valueUp.inputs;
  const rotated = keyValueDown.outputs - latent;
  const keySize = latent + rotated;
  const down = applyLinear(evaluation, keyValueDown, { input, rows: tokens });
  const compressed = columns({ matrix: down, rows: tokens, stride: keySize, start: 0, width: latent });
  const values = applyNorm(evaluation, graph.keyValueNorm, compressed);
  const keyPositions = columns({
    matrix: down,
    rows: tokens,
    stride: keySize,
    start: latent,
    width: rotated,
  });
  const query = queriesOf(evaluation, graph, input, tokens);
  const headSize = query.length / tokens / heads;
  const plainSize = headSize - rotated;

  const queryPositions = new Float32Array(tokens * heads * rotated);
  for (let head = 0; head < heads; head++) {
    const start = head * headSize + plainSize;
    const source = columns({ matrix: query, rows: tokens, stride: heads * headSize, start, width: rotated });
    setColumns({
      target: queryPositions,
      rows: tokens,
      stride: heads * rotated,
      start: head * rotated,
      source,
    });
  }
  if (graph.rope !== undefined) {
    const { layout } = graph.rope;
    const table = rotaryTable(graph.rope, evaluation.parameters, tokens);
    const common = { tokens, headSize: rotated, rotated, layout, ...table };
    kernels.math.rope({ ...common, x: queryPositions, heads });
    kernels.math.rope({ ...common, x: keyPositions, heads: 1 });
  }

  const queries = new Float32Array(tokens * heads * keySize);
  for (let head = 0; head < heads; head++) {
    const plain = columns({
      matrix: query,
      rows: tokens,
      stride: heads * headSize,
      start: head * headSize,
      width: plainSize,
    });
    const target = { target: queries, rows: tokens, stride: heads * keySize };
    const inLatentSpace = applyMatrix(evaluation, keyUp, { input: plain, rows: tokens, matrix: head });
    setColumns({ ...target, start: head * keySize, source: inLatentSpace });
    const positions = columns({
      matrix: queryPositions,
      rows: tokens,
      stride: heads * rotated,
      start: head * rotated,
      width: rotated,
    });
    setColumns({ ...target, start: head * keySize + latent, source: positions });
  }
  const keys = new Float32Array(tokens * keySize);
  setColumns({ target: keys, rows: tokens, stride: keySize, start: 0, source: values });
  setColumns({ target: keys, rows: tokens, stride: keySize, start: latent, source: keyPositions });

  const mixed = new Float32Array(tokens * heads * latent);
  kernels.math.attention({
    q: queries,
    k: keys,
    v: values,
    y: mixed,
    tokens,
    keys: tokens,
    heads,
    kvHeads: 1,
    headSize: keySize,
    valueSize: latent,
    scale,
    before: Infinity,
    after: 0,
  });
  const result = new Float32Array(tokens * heads * valueUp.outputs);
  for (let head = 0; head < heads; head++) {
    const part = columns({
      matrix: mixed,
      rows: tokens,
      stride: heads * latent,
      start: head * latent,
      width: latent,
    });
    setColumns({
      target: result,
      rows: tokens,
      stride: heads * valueUp.outputs,
      start: head * valueUp.outputs,
      source: applyMatrix(evaluation, valueUp, { input: part, rows: tokens, matrix: head }),
    });
  }
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
