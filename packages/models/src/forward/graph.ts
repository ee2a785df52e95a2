import type { InputQuantization } from "./input-quantization.ts";
import type { Activation, ExpertsRecord } from "./record.ts";

/*
 * What the evaluator runs: plain data (it travels to workers as JSON) in which every name, size and number is settled. Modules
 * have GGUF names without ".weight".
 */

/** A linear layer: outputs x inputs. */
export interface LinearGraph {
  readonly module: string;
  readonly inputs: number;
  readonly outputs: number;
  readonly hasBias: boolean;
  /** What happens to its inputs before it is applied. @default nothing */
  readonly inputQuantization?: InputQuantization;
}

/** The same layer of several experts or heads, one matrix after the other. */
export interface StackedLinearGraph extends LinearGraph {
  readonly matrices: number;
}

export interface NormGraph {
  readonly module: string;
  readonly kind: "rms" | "layer";
  readonly hasBias: boolean;
  readonly epsilon: number;
  /** Weights; a multiple of `size` when each head has its own. */
  readonly weights: number;
  /** Elements that are normalized together. */
  readonly size: number;
}

/** Norms around a part of the block; see `NormPlaces`. */
export interface NormsGraph {
  readonly before?: NormGraph;
  readonly after?: NormGraph;
  readonly residual?: NormGraph;
}

export interface RopeGraph {
  readonly layout: "interleaved" | "halves";
  /** Elements of a head that turn. */
  readonly rotated: number;
  /** Radians per position of each pair. */
  readonly frequencies: readonly number[];
  /** Module whose values divide the frequencies. */
  readonly factors?: string;
  /** The same where factors depend on the length of the sequence: `long` when it has more than `context` tokens. */
  readonly contextFactors?: { readonly short: string; readonly long: string; readonly context: number };
  /** Factor of both sine and cosine. */
  readonly magnitude: number;
}

interface AttentionBase {
  readonly norms: NormsGraph;
  readonly heads: number;
  readonly rope?: RopeGraph;
  readonly scale: number;
  readonly output: LinearGraph;
}

/** Attention with keys and values of their own for each head or group of heads. */
export interface HeadsAttentionGraph extends AttentionBase {
  readonly kind: "heads";
  /** One layer for all three, one after the other, or three. */
  readonly projections: { readonly qkv: LinearGraph } | Readonly<Record<"q" | "k" | "v", LinearGraph>>;
  readonly keyValueHeads: number;
  readonly headSize: number;
  readonly valueSize: number;
  readonly queryNorm?: NormGraph;
  readonly keyNorm?: NormGraph;
  /** Earlier tokens that a token sees, itself included. */
  readonly window?: number;
  readonly bidirectional: boolean;
  readonly softCap?: number;
  /** Module with a logit per head for attending to nothing. */
  readonly sinks?: string;
}

/** Attention through latent vectors: all heads have the same compressed vector as key and value. */
export interface LatentAttentionGraph extends AttentionBase {
  readonly kind: "latent";
  /** From the hidden state, or from a compressed query. */
  readonly query: LinearGraph;
  readonly compressedQuery?: { readonly down: LinearGraph; readonly norm: NormGraph };
  readonly keyValueDown: LinearGraph;
  readonly keyValueNorm: NormGraph;
  /** Per head: from the part of the query without positions to the latent space. */
  readonly keyUp: StackedLinearGraph;
  /** Per head: from the latent space to the values. */
  readonly valueUp: StackedLinearGraph;
}

export type AttentionGraph = HeadsAttentionGraph | LatentAttentionGraph;

/** A feed-forward network: down(f(gate) * up), or down(f(up)). */
export interface NetworkGraph<Layer extends LinearGraph = LinearGraph> {
  readonly activation: Activation;
  readonly gate?: Layer;
  readonly up: Layer;
  /** Whether `up` has the gate in its first half. */
  readonly fused: boolean;
  readonly down: Layer;
}

export interface ExpertsGraph {
  readonly router: LinearGraph;
  /** Module whose bias is added for the choice only. */
  readonly selectionBias?: string;
  readonly gating: ExpertsRecord["gating"];
  readonly normalized: boolean;
  readonly scale: number;
  /** Experts per token. */
  readonly used: number;
  /** Only experts of the best groups are chosen. */
  readonly groups?: {
    readonly count: number;
    readonly used: number;
    /** What makes a group good: its best expert, or the sum of its two best. */
    readonly score: "best" | "best-two";
  };
  readonly network: NetworkGraph<StackedLinearGraph>;
  /** An expert that all tokens go through, weighted by the sigmoid of `router` if there is one. */
  readonly shared?: { readonly network: NetworkGraph; readonly router?: LinearGraph };
}

export type FeedForwardGraph = { readonly norms: NormsGraph } & (
  | { readonly kind: "dense"; readonly network: NetworkGraph }
  | ({ readonly kind: "experts" } & ExpertsGraph)
);

export interface BlockGraph {
  readonly layer: number;
  readonly attention: AttentionGraph;
  readonly feedForward: FeedForwardGraph;
  readonly parallel: boolean;
  /** Factor of what is added to the residual stream. */
  readonly residualScale: number;
  /** Tensors that {@link evaluateBlock} needs, weights and biases, by GGUF name. */
  readonly tensors: readonly string[];
}

/** From tokens to the first hidden states. */
export interface EmbeddingGraph {
  readonly module: string;
  /** Elements of a hidden state. */
  readonly width: number;
  readonly tokens: number;
  readonly scale: number;
  /** Module with a row for each position, and how many. */
  readonly positions?: { readonly module: string; readonly count: number };
  /** Module whose first row is added. */
  readonly tokenTypes?: string;
  readonly norm?: NormGraph;
  readonly tensors: readonly string[];
}

/** From the last hidden states to logits. */
export interface OutputGraph {
  readonly norm?: NormGraph;
  /** Absent: an encoder, whose hidden states are the result. */
  readonly projection?: LinearGraph;
  readonly scale: number;
  readonly softCap?: number;
  readonly tensors: readonly string[];
}

export interface ForwardGraph {
  readonly architecture: string;
  readonly embedding: EmbeddingGraph;
  readonly blocks: readonly BlockGraph[];
  readonly output: OutputGraph;
}
