/** What a conversion did to weights: sums and what follows from them. Shares and relative errors are 0..1. */
export interface ErrorRecord {
  /** Sum of (weight - new weight)^2. */
  readonly squaredErrors: number;
  /** Sum of weight^2. */
  readonly squaredWeights: number;
  /** `squaredErrors / squaredWeights`. */
  readonly relativeSquaredError: number;
  /** Root of `relativeSquaredError`. */
  readonly relativeError: number;
  /** Signal to noise, -10 log10(relativeSquaredError), in dB; absent where nothing is lost. */
  readonly snr?: number;
  /** Largest |weight - new weight|; absent where only sums are known, as the counts below are. */
  readonly largestError?: number;
  /** Weights beyond the ends of the grid of their group (what shares a scale), by more than half a step. */
  readonly clipped?: number;
  /** Of all weights. */
  readonly clippedShare?: number;
  /** Groups that became all zero though their weights are not. */
  readonly vanished?: number;
  readonly groups?: number;
  /** Of all groups; 0 for types without. */
  readonly vanishedShare?: number;
  /** Error of the outputs of the layer, where there is an importance matrix: weighted by it (the diagonal of H = X^T X). */
  readonly output?: OutputError;
  /**
   * Error of the outputs of the layer on all inputs X of the calibration text, where a statistics file has H = X^T X: tr(D H D^T) with D
   * the differences of the weights, and tr(W H W^T). Of several tensors, those that have it.
   */
  readonly hessian?: OutputError;
  /**
   * Error of the outputs of the layer on inputs that calibration has not seen, where some were held out: of its squared outputs, so that
   * `squaredWeights` counts layers. Of several tensors, those that have it.
   */
  readonly heldOut?: OutputError;
}

/** Squared outputs, or estimates of them, and what follows from them. */
export interface OutputError {
  readonly squaredErrors: number;
  readonly squaredWeights: number;
  readonly relativeSquaredError: number;
  readonly relativeError: number;
}

export interface TensorRecord {
  /** GGUF name. */
  readonly name: string;
  /** Block, from 0; absent outside of blocks. */
  readonly layer?: number;
  /** What it is for: "attn_q", "token_embd". */
  readonly role: string;
  /** ggml order: the contiguous dimension first. */
  readonly shape: readonly number[];
  /** Element type or ggml type of the source. */
  readonly from: string;
  /** ggml type. */
  readonly type: string;
  readonly bytes: number;
  /** Whether it was quantized already: errors are those that the change adds. */
  readonly requantized: boolean;
  /** Why it has not the type that the recipe wants. */
  readonly fallback?: string;
  /** Absent where nothing was rounded. */
  readonly errors?: ErrorRecord;
  /** Of tensors that were rounded by what is known of their inputs. */
  readonly rounding?: RoundingRecord;
}

/** What rounding by inputs gained: relative squared errors of outputs, on inputs that were held out. */
export interface RoundingRecord {
  /** "gptq" */
  readonly name: string;
  /** Matrices of the tensor, for how many of them the rounding was kept, and how many had too few inputs for it. */
  readonly matrices: number;
  readonly kept: number;
  readonly withoutInputs: number;
  /** With the rounding, with that of ggml, and of what was written: for each matrix the better one. */
  readonly outputError?: { readonly rounded: number; readonly plain: number; readonly kept: number };
  /** Share of the mean of the Hessian's diagonal that was added to it. */
  readonly damping?: number;
  /** Columns whose inputs were always 0. */
  readonly deadColumns?: number;
}

export interface OutputRecord {
  /** Recipe: "Q4_K_M". */
  readonly type: string;
  /** Names without folders. */
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  /** All files together. */
  readonly bytes: number;
  /** Bits of tensor data per weight. */
  readonly bitsPerWeight: number;
  /** In the order of the files. */
  readonly tensors: readonly TensorRecord[];
  /** Of all tensors that have errors; absent where none has. */
  readonly errors?: ErrorRecord;
}

/** A conversion: what its report says. Holds no time and no place, so that the same conversion has the same record anywhere. */
export interface ConversionRecord {
  /** "quern 0.1.0" */
  readonly tool: string;
  readonly model: string;
  readonly architecture: string;
  readonly parameters: number;
  /** Bytes of weights that were read. */
  readonly sourceBytes: number;
  /** Types of the weights that were read, the one with most bytes first. */
  readonly sourceTypes: readonly string[];
  readonly importance?: {
    readonly file: string;
    readonly datasets: readonly string[];
    readonly chunks?: number;
  };
  /** What was asked for beside types, in words of the command line. */
  readonly settings: readonly { readonly name: string; readonly value: string }[];
  readonly outputs: readonly OutputRecord[];
}
