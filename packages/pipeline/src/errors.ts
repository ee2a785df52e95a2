/**
 * What a conversion did to weights. Sums are over all weights, in a fixed order: the same for any number of threads, any memory, and
 * all kernels but for `hessian`.
 */
export interface ErrorFigures {
  /** Sum of (weight - new weight)^2. */
  readonly squaredErrors: number;
  /** Sum of weight^2. */
  readonly squaredWeights: number;
  /** Both sums with the importance of the column (the diagonal of H) as factor, where there is an importance matrix. */
  readonly weighted?: { readonly squaredErrors: number; readonly squaredWeights: number };
  /**
   * What becomes of the outputs of the layer on all inputs X of the calibration text: tr(D H D^T) with D the differences of the weights,
   * and tr(W H W^T), where there is H = X^T X. Products are of single precision: kernels with fused multiply-add may differ from others in
   * the last digits.
   */
  readonly hessian?: { readonly squaredErrors: number; readonly squaredWeights: number };
  /** Largest |weight - new weight|. */
  readonly largestError: number;
  /**
   * Weights that the grid of their group clips: farther outside of it than half the distance between its last two values at that end.
   * A group is what shares a scale; its grid is what the codes of the type stand for with that scale.
   */
  readonly clipped: number;
  /** Groups that became all zero though their weights are not. */
  readonly vanished: number;
  /** Groups in all; 0 for types without scales. */
  readonly groups: number;
}

/** What became of a tensor in an output. */
export interface TensorError extends ErrorFigures {
  /** Position among the outputs. */
  readonly output: number;
  /** GGUF name in the output. */
  readonly name: string;
  /** Element type or ggml type that it had. */
  readonly from: string;
  /** ggml type that it got. */
  readonly to: string;
  /** Whether it was quantized already: the errors are those that the change adds, between what old and new blocks stand for. */
  readonly requantized: boolean;
  readonly elements: number;
  /** Of tensors that were rounded by what is known of their inputs. */
  readonly rounding?: RoundingFigures;
}

/** What rounding by inputs gained. */
export interface RoundingFigures {
  /** "gptq" */
  readonly name: string;
  /** How many matrices the tensor has: those of a stack have inputs of their own. */
  readonly matrices: number;
  /** For how many of them the rounding was kept: it was better than ggml's on inputs held out, or there were none to tell. */
  readonly kept: number;
  /** How many were rounded by importance alone, as too few inputs were seen. */
  readonly withoutInputs: number;
  /**
   * On inputs that were held out: squared errors of outputs over squared outputs, of all matrices that were compared. Absent where none
   * was.
   */
  readonly outputError?: {
    /** Of the rounding. */
    readonly rounded: number;
    /** Of ggml's, by importance. */
    readonly plain: number;
    /** Of what was written: the better one for each matrix. */
    readonly kept: number;
  };
  /** Share of the mean of the Hessian's diagonal that was added to it; the largest. */
  readonly damping?: number;
  /** How many columns have inputs that were always 0. */
  readonly deadColumns?: number;
}

/**
 * Root of (sum of squared errors / sum of squared weights), over some tensors: 0 for zeros that stay zeros.
 */
export function relativeError(
  tensors: Iterable<Pick<ErrorFigures, "squaredErrors" | "squaredWeights">>,
): number {
  let errors = 0;
  let weights = 0;
  for (const { squaredErrors, squaredWeights } of tensors) {
    errors += squaredErrors;
    weights += squaredWeights;
  }
  return errors === 0 ? 0 : Math.sqrt(errors / weights);
}
