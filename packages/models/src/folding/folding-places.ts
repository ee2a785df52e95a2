import { isLinearInUp } from "../forward/evaluate/activation.ts";
import type {
  AttentionGraph,
  BlockGraph,
  FeedForwardGraph,
  ForwardGraph,
  LinearGraph,
  NetworkGraph,
  NormGraph,
} from "../forward/graph.ts";

/** Inputs of linear layers, what makes them and what reads them, by GGUF name; or why nothing can be folded there. */
export type FoldingPlace = {
  readonly name: string;
  readonly layer?: number;
} & (
  | { readonly reason: string }
  | {
      readonly maker: string;
      readonly divides: "norm" | "linear";
      /** All modules that read the inputs. */
      readonly readers: readonly string[];
      readonly columns: number;
      /** Row of the maker's weight that makes each column; absent: in order. */
      readonly rows?: Uint32Array;
      /** Which matrix of maker and readers, where they are stacks of `matrices` with inputs of their own. */
      readonly matrix?: { readonly index: number; readonly count: number };
      readonly statistics: { readonly module: string; readonly matrix?: number };
    }
);

/** Every place of a model where linear layers have their inputs from, in the order of the computation. */
export function foldingPlaces({ embedding, blocks, output }: ForwardGraph): FoldingPlace[] {
  const inBlocks = blocks.flatMap((block) =>
    blockPlaces(block).map((place): FoldingPlace => ({ ...place, layer: block.layer })),
  );
  const { norm, projection } = output;
  if (projection === undefined) return inBlocks;
  if (projection.module !== embedding.module) return [...inBlocks, normPlace(norm, [projection])];
  return [
    ...inBlocks,
    { name: norm?.module ?? projection.module, reason: "the output is the embedding, which has other uses" },
  ];
}

function blockPlaces({ attention, feedForward }: BlockGraph): FoldingPlace[] {
  const attended = { norm: attention.norms.before, layers: attentionEntries(attention) };
  const fed = { norm: feedForward.norms.before, layers: feedForwardEntries(feedForward) };
  const isShared = attended.norm !== undefined && attended.norm.module === fed.norm?.module;
  const [first, ...others] = isShared
    ? [{ norm: attended.norm, layers: [...attended.layers, ...fed.layers] }]
    : [attended, fed];
  return [
    normPlace(first.norm, first.layers),
    ...attentionPlaces(attention),
    ...others.map(({ norm, layers }) => normPlace(norm, layers)),
    ...feedForwardPlaces(feedForward),
  ];
}

function normPlace(norm: NormGraph | undefined, readers: readonly LinearGraph[]): FoldingPlace {
  const { module, inputs } = readers[0]!;
  if (norm === undefined) {
    return { name: module, reason: "it reads the residual stream, where nothing can be divided" };
  }
  if (norm.weights !== inputs) {
    return { name: norm.module, reason: "it has not one weight for each column" };
  }
  return {
    name: norm.module,
    maker: norm.module,
    divides: "norm",
    readers: readers.map((reader) => reader.module),
    columns: inputs,
    statistics: { module },
  };
}

/** Layers that read what goes into attention. */
export function attentionEntries(attention: AttentionGraph): readonly LinearGraph[] {
  if (attention.kind === "latent") {
    const { keyValueDown, compressedQuery, query } = attention;
    return [keyValueDown, compressedQuery?.down ?? query];
  }
  const { projections } = attention;
  return "qkv" in projections ? [projections.qkv] : [projections.q, projections.k, projections.v];
}

/** Layers that read what goes into the feed-forward network; the first is one that sees every token. */
export function feedForwardEntries(feedForward: FeedForwardGraph): readonly LinearGraph[] {
  const entries = ({ gate, up }: NetworkGraph): LinearGraph[] => (gate === undefined ? [up] : [gate, up]);
  if (feedForward.kind === "dense") return entries(feedForward.network);
  const { router, network, shared } = feedForward;
  return [
    router,
    ...(shared === undefined ? [] : entries(shared.network)),
    ...(shared?.router === undefined ? [] : [shared.router]),
    ...entries(network),
  ];
}

/** Inside attention: values are mixed by tokens, never by columns. */
function attentionPlaces(attention: AttentionGraph): FoldingPlace[] {
  const { output, heads } = attention;
  const place = { divides: "linear", readers: [output.module], columns: output.inputs } as const;
  const statistics = { module: output.module };
  if (attention.kind === "latent") {
    const { compressedQuery, query, keyValueNorm, valueUp } = attention;
    return [
      ...(compressedQuery === undefined ? [] : [normPlace(compressedQuery.norm, [query])]),
      {
        name: keyValueNorm.module,
        reason: "attention reads it head by head, so that no statistics are those of its output",
      },
      { ...place, name: valueUp.module, maker: valueUp.module, statistics },
    ];
  }
  const { projections, keyValueHeads, headSize, valueSize } = attention;
  const isFused = "qkv" in projections;
  const { module } = isFused ? projections.qkv : projections.v;
  const before = isFused ? (heads + keyValueHeads) * headSize : 0;
  const shared = heads / keyValueHeads;
  const rows = Uint32Array.from({ length: output.inputs }, (_, column) => {
    const head = Math.floor(column / valueSize);
    return before + Math.floor(head / shared) * valueSize + (column % valueSize);
  });
  return [{ ...place, name: module, maker: module, rows, statistics }];
}

/** Inside feed-forward networks: between up and down. */
function feedForwardPlaces(feedForward: FeedForwardGraph): FoldingPlace[] {
  if (feedForward.kind === "dense") return [networkPlace(feedForward.network)];
  const { network, shared } = feedForward;
  const ofExperts = networkPlace(network);
  const { matrices } = network.down;
  const experts =
    "reason" in ofExperts
      ? [ofExperts]
      : Array.from({ length: matrices }, (_, index) => ({
          ...ofExperts,
          name: `${ofExperts.name}.${index}`,
          matrix: { index, count: matrices },
          statistics: { module: network.down.module, matrix: index },
        }));
  return [...(shared === undefined ? [] : [networkPlace(shared.network)]), ...experts];
}

function networkPlace({ activation, gate, up, fused, down }: NetworkGraph): FoldingPlace {
  const isGated = gate !== undefined || fused;
  if (!isGated || !isLinearInUp(activation)) {
    return { name: up.module, reason: `the function ${activation} stands between it and ${down.module}` };
  }
  return {
    name: up.module,
    maker: up.module,
    divides: "linear",
    readers: [down.module],
    columns: down.inputs,
    ...(fused && { rows: Uint32Array.from({ length: down.inputs }, (_, column) => down.inputs + column) }),
    statistics: { module: down.module },
  };
}
