// What a report needs of an evaluation: a part of the report that `quern eval` writes. Probabilities and shares are 0..1, divergences
// in nats per token.

/** A figure with its standard error, and a bootstrap interval. */
export interface Estimate {
  readonly value: number;
  readonly error: number;
  readonly interval?: readonly [low: number, high: number];
}

export interface Percentile {
  readonly percent: number;
  readonly value: number;
}

/** Bin i holds edges[i] <= value < edges[i + 1], on a logarithmic scale. */
export interface Histogram {
  readonly edges: readonly number[];
  readonly counts: readonly number[];
  readonly below: number;
  readonly above: number;
}

export interface ComparisonRecord {
  readonly referencePerplexity: Estimate;
  readonly perplexityRatio: Estimate;
  readonly divergence: {
    readonly mean: Estimate;
    readonly median: number;
    readonly maximum: number;
    readonly percentiles?: readonly Percentile[];
    readonly histogram: Histogram;
  };
  readonly deltaP: { readonly mean: Estimate; readonly rootMeanSquare: Estimate };
  /** Share of positions with the same most likely token. */
  readonly agreement: Estimate;
}

export interface DomainRecord {
  readonly name: string;
  readonly windows: number;
  /** Scored ones. */
  readonly positions: number;
  readonly perplexity: Estimate;
  readonly comparison?: ComparisonRecord;
}

export interface EvaluatedModelRecord {
  readonly name: string;
  readonly architecture: string;
  readonly parameters: number;
  /** Stored bytes of the tensors. */
  readonly bytes: number;
}

export interface EvaluationRecord {
  readonly tool: string;
  readonly model: EvaluatedModelRecord;
  readonly reference?: EvaluatedModelRecord;
  readonly corpus: {
    readonly hash: string;
    readonly tokenizer: string;
    readonly context: number;
    readonly score: string;
    readonly windows: number;
    readonly tokens: number;
    readonly positions: number;
  };
  readonly confidence: { readonly level: number; readonly resamples: number; readonly seed: number };
  readonly domains: readonly DomainRecord[];
  readonly total: DomainRecord;
}
