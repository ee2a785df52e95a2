import type { HeadsAttentionGraph, RopeGraph } from "../graph.ts";
import { numbersOf } from "../parameters.ts";
import { type Evaluation, takeNumbers } from "./evaluation.ts";
import { applyLinear } from "./linear.ts";
import { applyNorm } from "./norm.ts";
import { rotaryTable } from "./rotary.ts";
import { rowsOf, type Sequence } from "./sequences.ts";
import { columns } from "./columns.ts";

type Projected = Record<"q" | "k" | "v", Float32Array>;

/** Attention within each sequence: input and result are tokens x width. */
export function applyHeadsAttention(
  evaluation: Evaluation,
  graph: HeadsAttentionGraph,
  params: { readonly input: Float32Array; readonly tokens: number; readonly sequences: readonly Sequence[] },
): Float32Array {
  const { input, tokens, sequences } = params;
  const { kernels, parameters } = evaluation;
  const { heads, keyValueHeads, headSize, valueSize, scale, window, bidirectional, softCap, sinks } = graph;
  const { q, k, v } = project(evaluation, graph, input, tokens);
  const queries = graph.queryNorm === undefined ? q : applyNorm(evaluation, graph.queryNorm, q);
  const keys = graph.keyNorm === undefined ? k : applyNorm(evaluation, graph.keyNorm, k);
  const result = takeNumbers(evaluation, tokens * heads * valueSize);
  const reach = window === undefined ? Infinity : window - 1;
  for (const sequence of sequences) {
    const own = {
      queries: rowsOf(queries, sequence, heads * headSize),
      keys: rowsOf(keys, sequence, keyValueHeads * headSize),
      tokens: sequence.tokens,
    };
    if (graph.rope !== undefined) rotate(evaluation, graph, graph.rope, own);
    kernels.math.attention({
      q: own.queries,
      k: own.keys,
      v: rowsOf(v, sequence, keyValueHeads * valueSize),
      y: rowsOf(result, sequence, heads * valueSize),
      tokens: sequence.tokens,
      keys: sequence.tokens,
      heads,
      kvHeads: keyValueHeads,
      headSize,
      valueSize,
      scale,
      before: reach,
      after: bidirectional ? reach : 0,
      ...(softCap !== undefined && { softCap }),
      ...(sinks !== undefined && { sinks: numbersOf(parameters, `${sinks}.weight`) }),
    });
  }
  return applyLinear(evaluation, graph.output, { input: result, rows: tokens });
}

function project(
  evaluation: Evaluation,
  { projections, heads, keyValueHeads, headSize, valueSize }: HeadsAttentionGraph,
  input: Float32Array,
  tokens: number,
): Projected {
  if (!("qkv" in projections)) {
    const { q, k, v } = projections;
    const of = (layer: typeof q): Float32Array => applyLinear(evaluation, layer, { input, rows: tokens });
    return { q: of(q), k: of(k), v: of(v) };
  }
  const all = applyLinear(evaluation, projections.qkv, { input, rows: tokens });
  const stride = projections.qkv.outputs;
  const firstKey = heads * headSize;
  const firstValue = firstKey + keyValueHeads * headSize;
  const part = (start: number, width: number): Float32Array =>
    columns(evaluation, { matrix: all, rows: tokens, stride, start, width });
  return {
    q: part(0, firstKey),
    k: part(firstKey, firstValue - firstKey),
    v: part(firstValue, keyValueHeads * valueSize),
  };
}

function rotate(
  evaluation: Evaluation,
  { heads, keyValueHeads, headSize }: HeadsAttentionGraph,
  rope: RopeGraph,
  { queries, keys, tokens }: { queries: Float32Array; keys: Float32Array; tokens: number },
): void {
  const { math } = evaluation.kernels;
  const table = rotaryTable(evaluation, rope, tokens);
  const common = { tokens, headSize, rotated: rope.rotated, layout: rope.layout, ...table };
  math.rope({ ...common, x: queries, heads });
  math.rope({ ...common, x: keys, heads: keyValueHeads });
}
