import type {
  AttentionGraph,
  BlockGraph,
  EmbeddingGraph,
  FeedForwardGraph,
  HeadsAttentionGraph,
  LatentAttentionGraph,
  LinearGraph,
  NetworkGraph,
  NormGraph,
  OutputGraph,
} from "../graph.ts";

/*
 * How many numbers a workspace has at most for each token, array by array, as the functions beside this one take them. Of what is quantized
 * before it is read there is a copy while it is read.
 */

/** Of `evaluateBlock`. An expert may have all tokens. */
export function blockActivations({ attention, feedForward, parallel }: BlockGraph): number {
  const width = attention.output.outputs;
  const states = (norm: NormGraph | undefined): number => (norm === undefined ? 0 : width);
  const { norms } = attention;
  const before = states(norms.before);
  const attended = before + width + states(norms.after);
  const middle = attended + width + (parallel ? 0 : states(norms.residual) + width);
  const shared = parallel && feedForward.norms.before?.module === norms.before?.module;
  const feedInput = middle + (shared ? 0 : states(feedForward.norms.before));
  const end = feedInput + width + states(feedForward.norms.after) + states(feedForward.norms.residual);
  return Math.max(
    before + attentionActivations(attention),
    feedInput + feedForwardActivations(feedForward),
    end,
  );
}

/** Of `embedTokens`. */
export function embeddingActivations({ width, norm }: EmbeddingGraph): number {
  return norm === undefined ? width : 2 * width;
}

/** Of `outputLogits`, of an encoder too; `width` is that of hidden states. */
export function outputActivations({ norm, projection }: OutputGraph, width: number): number {
  const normalized = norm === undefined ? 0 : width;
  return normalized + (projection === undefined ? 0 : projection.outputs + copied([projection]));
}

function attentionActivations(graph: AttentionGraph): number {
  return graph.kind === "latent" ? latentActivations(graph) : headsActivations(graph);
}

function headsActivations(graph: HeadsAttentionGraph): number {
  const { projections, heads, keyValueHeads, headSize, valueSize, queryNorm, keyNorm, rope, output } = graph;
  const queries = heads * headSize;
  const keys = keyValueHeads * headSize;
  const fused = "qkv" in projections;
  const layers = fused ? [projections.qkv] : [projections.q, projections.k, projections.v];
  return (
    outputsOf(layers) +
    (fused ? queries + keys + keyValueHeads * valueSize : 0) +
    (queryNorm === undefined ? 0 : queries) +
    (keyNorm === undefined ? 0 : keys) +
    heads * valueSize +
    rotaryNumbers(rope) +
    output.outputs +
    copied([...layers, output])
  );
}

function latentActivations(graph: LatentAttentionGraph): number {
  const { heads, rope, query, compressedQuery, keyValueDown, keyUp, valueUp, output } = graph;
  const latent = valueUp.inputs;
  const keySize = keyValueDown.outputs;
  const compressed = compressedQuery === undefined ? 0 : 2 * compressedQuery.down.outputs;
  const stacked = (layer: LatentAttentionGraph["keyUp"]): number => layer.matrices * layer.outputs;
  const ofHead = Math.max(...[keyUp, valueUp].map((layer) => layer.inputs + layer.outputs));
  return (
    2 * keySize +
    compressed +
    2 * query.outputs +
    latent +
    rotaryNumbers(rope) +
    stacked(keyUp) +
    (heads + 1) * keySize +
    heads * latent +
    stacked(valueUp) +
    output.outputs +
    ofHead +
    copied([keyValueDown, query, ...(compressedQuery ? [compressedQuery.down] : []), keyUp, valueUp, output])
  );
}

function feedForwardActivations(graph: FeedForwardGraph): number {
  if (graph.kind === "dense") return networkActivations(graph.network);
  const { router, network, shared } = graph;
  const expert = router.inputs + networkActivations(network);
  const common = shared === undefined ? 0 : networkActivations(shared.network) + outputsOf(shared.router);
  return router.outputs + router.inputs + Math.max(expert, common) + copied([router]);
}

function networkActivations({ activation, gate, up, fused, down }: NetworkGraph): number {
  const halves = fused ? 2 * down.inputs : 0;
  const activated = activation === "swiglu-oai" ? down.inputs : 0;
  const layers = [up, down, ...(gate ? [gate] : [])];
  return outputsOf(layers) + halves + activated + copied(layers);
}

function rotaryNumbers(rope: { readonly frequencies: readonly number[] } | undefined): number {
  return rope === undefined ? 0 : 2 * rope.frequencies.length;
}

function outputsOf(layers: readonly LinearGraph[] | LinearGraph | undefined): number {
  return [layers ?? []].flat().reduce((sum, { outputs }) => sum + outputs, 0);
}

/** The largest copy of inputs that are quantized. */
function copied(layers: readonly LinearGraph[]): number {
  return Math.max(0, ...layers.map(({ inputQuantization, inputs }) => (inputQuantization ? inputs : 0)));
}
