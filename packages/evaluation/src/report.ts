/** A figure of many positions. */
export interface Estimate {
  readonly value: number;
  /** Standard error, positions taken as independent: what llama-perplexity prints after "±". */
  readonly error: number;
  /** Bootstrap interval over windows, which are not independent of themselves; absent when there is one window. */
  readonly interval?: readonly [low: number, high: number];
}

/** The value below which so many percent of the positions lie. */
export interface Percentile {
  readonly percent: number;
  readonly value: number;
}

/** Counts of values by size: bin i has those from `edges[i]` to below `edges[i + 1]`. */
export interface Histogram {
  /** One more than there are counts. */
  readonly edges: readonly number[];
  readonly counts: readonly number[];
  /** Values below the first edge, and from the last one on. */
  readonly below: number;
  readonly above: number;
}

/** How the values of single positions are spread. */
export interface Spread {
  readonly median: number;
  readonly minimum: number;
  readonly maximum: number;
  /** Ascending; empty below 100 positions. */
  readonly percentiles: readonly Percentile[];
}

/** How far a model is from its reference. */
export interface Comparison {
  readonly referencePerplexity: Estimate;
  /** Perplexity over that of the reference. */
  readonly perplexityRatio: Estimate;
  /** Natural logarithm of the ratio. */
  readonly logPerplexityRatio: Estimate;
  /** Perplexity minus that of the reference. */
  readonly perplexityDifference: Estimate;
  /** Of the two logarithms of perplexity; absent where one does not vary. */
  readonly correlation?: number;
  /** Kullback-Leibler divergence of the model from the reference, nats per token. */
  readonly divergence: Spread & {
    readonly mean: Estimate;
    readonly histogram: Histogram;
    /** Between these the exact mean lies; given where the reference is a cache of its most likely tokens. */
    readonly bounds?: readonly [low: number, high: number];
  };
  /** By how much the probability of the right token differs from that of the reference; 0.01 is a percentage point. */
  readonly deltaP: Spread & { readonly mean: Estimate; readonly rootMeanSquare: Estimate };
  /** Share of the positions at which both have the same most likely token. */
  readonly agreement: Estimate;
}

/** Figures of one text, or of all together. */
export interface DomainReport {
  /** File name of the text; "all". */
  readonly name: string;
  readonly windows: number;
  /** Positions that were scored. */
  readonly positions: number;
  readonly perplexity: Estimate;
  readonly comparison?: Comparison;
}

/** The model of an evaluation. */
export interface EvaluatedModel {
  readonly name: string;
  /** As GGUF calls it. */
  readonly architecture: string;
  /** SHA-256 of the architecture and of the names and shapes of all tensors, hexadecimal. */
  readonly identity: string;
  readonly vocabularySize: number;
  readonly parameters: number;
  /** Of all tensors as they are stored. */
  readonly bytes: number;
  /** Bytes by type, the one with most bytes first. */
  readonly types: readonly { readonly type: string; readonly bytes: number }[];
  /** Linear layers that read quantized inputs, by type; absent where all read them as they are. */
  readonly quantizedInputs?: readonly { readonly type: string; readonly layers: number }[];
}

/** What an evaluation found: plain data. No number in it is infinite or NaN; what cannot be said is absent. */
export interface EvaluationReport {
  readonly format: "quern-evaluation";
  readonly version: 1;
  /** Name and version of the program. */
  readonly tool: string;
  readonly model: EvaluatedModel;
  /** `likeliest`: tokens per position, where a cache stood for the reference. */
  readonly reference?: EvaluatedModel & { readonly likeliest?: number };
  readonly corpus: {
    /** SHA-256 of the windows and of the rule that they were made by. */
    readonly hash: string;
    readonly tokenizer: string;
    readonly context: number;
    readonly score: "half" | "all";
    readonly windows: number;
    readonly tokens: number;
    readonly positions: number;
  };
  readonly confidence: { readonly level: number; readonly resamples: number; readonly seed: number };
  /** In the order of the texts. */
  readonly domains: readonly DomainReport[];
  /** All domains together, position by position. */
  readonly total: DomainReport;
  readonly run: {
    readonly seconds: number;
    /** Tokens of all windows over seconds, of all models together. */
    readonly tokensPerSecond: number;
    /** Highest resident memory of the process, bytes. */
    readonly peakMemory: number;
    readonly threads: number;
    readonly kernels: string;
  };
}
