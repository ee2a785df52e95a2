import type {
  AttentionGraph,
  BlockGraph,
  FeedForwardGraph,
  LinearGraph,
  NetworkGraph,
  OutputGraph,
  StackedLinearGraph,
} from "../graph.ts";

/** Linear layers that read the same: what is known of the input of one is known of all. */
export interface LinearInputs {
  /** The first of the modules. */
  readonly name: string;
  /** GGUF names without ".weight", in the order in which they are reported to `Evaluation.observe`. */
  readonly modules: readonly string[];
  readonly columns: number;
  /** Experts or heads of stacked layers, each of which has inputs of its own; otherwise 1. */
  readonly matrices: number;
  /** Rows for each token, those of all matrices together. */
  readonly rowsPerToken: number;
}

/** The inputs of all linear layers of a block; layers of the same group are reported with the same array. */
export function linearInputs({ attention, feedForward, parallel }: BlockGraph): LinearInputs[] {
  const [attended, ...inAttention] = attentionInputs(attention);
  const [fed, ...inFeedForward] = feedForwardInputs(feedForward);
  const sharesNorm = attention.norms.before?.module === feedForward.norms.before?.module;
  return parallel && sharesNorm
    ? [{ ...attended!, modules: [...attended!.modules, ...fed!.modules] }, ...inAttention, ...inFeedForward]
    : [attended!, ...inAttention, fed!, ...inFeedForward];
}

/** The input of the layer that makes logits; none for an encoder. */
export function outputInputs({ projection }: OutputGraph): LinearInputs | undefined {
  return projection === undefined ? undefined : plain(projection);
}

/** The first is that of the attention as a whole. */
function attentionInputs(attention: AttentionGraph): LinearInputs[] {
  if (attention.kind === "heads") {
    const { projections, output } = attention;
    const layers = "qkv" in projections ? [projections.qkv] : [projections.q, projections.k, projections.v];
    return [plain(...layers), plain(output)];
  }
  const { keyValueDown, compressedQuery, query, keyUp, valueUp, output } = attention;
  const perHead = (layer: StackedLinearGraph): LinearInputs => stacked(layer.matrices, layer);
  const queries =
    compressedQuery === undefined
      ? [plain(keyValueDown, query)]
      : [plain(keyValueDown, compressedQuery.down), plain(query)];
  return [...queries, perHead(keyUp), perHead(valueUp), plain(output)];
}

/** The first is that of the network or the mixture as a whole. */
function feedForwardInputs(feedForward: FeedForwardGraph): LinearInputs[] {
  if (feedForward.kind === "dense") {
    const { network } = feedForward;
    return [plain(...entriesOf(network)), plain(network.down)];
  }
  const { router, network, used, shared } = feedForward;
  const sharedRouter = shared?.router === undefined ? [] : [shared.router];
  const inShared = shared === undefined ? [] : [...entriesOf(shared.network), ...sharedRouter];
  return [
    plain(router, ...inShared),
    stacked(used, ...entriesOf(network)),
    stacked(used, network.down),
    ...(shared === undefined ? [] : [plain(shared.network.down)]),
  ];
}

function entriesOf<Layer extends LinearGraph>({ gate, up }: NetworkGraph<Layer>): [Layer, ...Layer[]] {
  return gate === undefined ? [up] : [gate, up];
}

function plain(...layers: readonly LinearGraph[]): LinearInputs {
  const { module, inputs } = layers[0]!;
  return {
    name: module,
    modules: layers.map((layer) => layer.module),
    columns: inputs,
    matrices: 1,
    rowsPerToken: 1,
  };
}

function stacked(rowsPerToken: number, ...layers: readonly StackedLinearGraph[]): LinearInputs {
  return { ...plain(...layers), matrices: layers[0]!.matrices, rowsPerToken };
}
