/** A group of linear layers with the same inputs. */
export interface CalibratedLayer {
  /** For messages: "blk.0.ffn_down" or "all of ffn_down". */
  readonly name: string;
  /** Input channels (columns of the weight). */
  readonly inputs: number;
  /** Experts of a mixture, of which every token goes to `activeExperts`. Default 1. */
  readonly experts?: number;
  /** Default 1. */
  readonly activeExperts?: number;
}

/** A layer that the calibration data are too few for. */
export interface CalibrationWarning {
  readonly code: "CALIBRATION_FEW_TOKENS" | "CALIBRATION_FEW_TOKENS_PER_EXPERT";
  readonly layer: string;
  /** Tokens that the layer sees; for experts, that each sees on average. */
  readonly tokens: number;
  /** Tokens that it should see. */
  readonly wanted: number;
  readonly message: string;
}

/**
 * Tokens that a second-moment matrix of a layer's inputs needs for each input: below one it is singular, and what error
 * compensation (GPTQ) learns from it below two is noise to a good part.
 */
const TOKENS_PER_INPUT = 2;

/**
 * Says for which layers there are too few tokens to compensate rounding errors. Experts are taken to be chosen evenly, so that the
 * rarest see fewer still.
 *
 * @param params.tokens Tokens of the calibration data.
 */
export function calibrationWarnings(params: {
  tokens: number;
  layers: readonly CalibratedLayer[];
}): CalibrationWarning[] {
  return params.layers.flatMap(({ name, inputs, experts = 1, activeExperts = 1 }) => {
    const wanted = TOKENS_PER_INPUT * inputs;
    const tokens = Math.floor((params.tokens * activeExperts) / experts);
    if (tokens >= wanted) return [];
    const all = Math.ceil((wanted * experts) / activeExperts);
    const who = experts > 1 ? `each of the ${experts} experts of ${name} sees about` : `${name} sees`;
    return [
      {
        code: experts > 1 ? "CALIBRATION_FEW_TOKENS_PER_EXPERT" : "CALIBRATION_FEW_TOKENS",
        layer: name,
        tokens,
        wanted,
        message: `${who} ${tokens} tokens; with ${inputs} inputs it should be ${wanted} (${all} tokens of calibration data).`,
      } as const,
    ];
  });
}
