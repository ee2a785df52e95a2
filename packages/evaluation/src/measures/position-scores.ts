/** Figures of scored positions, one after another; all arrays have the same length. */
export interface PositionScores {
  /** Negative logarithm of the probability of the right token, nats. */
  readonly loss: Float64Array;
  readonly comparison?: {
    /** The same of the reference. */
    readonly referenceLoss: Float64Array;
    /** Kullback-Leibler divergence from the reference, nats. */
    readonly divergence: Float64Array;
    /** Between these the divergence lies, where it is not exact. */
    readonly bounds?: { readonly low: Float64Array; readonly high: Float64Array };
    /** 1 where both have the same most likely token, otherwise 0. */
    readonly agrees: Uint8Array;
  };
}

/** Puts the scores of windows one behind the other. All have the same figures. */
export function joinScores(parts: readonly PositionScores[]): PositionScores {
  const joined = (values: (part: PositionScores) => Float64Array): Float64Array =>
    concatenate(parts.map(values));
  const loss = joined((part) => part.loss);
  const [first] = parts;
  if (first?.comparison === undefined) return { loss };
  return {
    loss,
    comparison: {
      referenceLoss: joined((part) => part.comparison!.referenceLoss),
      divergence: joined((part) => part.comparison!.divergence),
      ...(first.comparison.bounds === undefined
        ? {}
        : {
            bounds: {
              low: joined((part) => part.comparison!.bounds!.low),
              high: joined((part) => part.comparison!.bounds!.high),
            },
          }),
      agrees: Uint8Array.from(parts.flatMap((part) => Array.from(part.comparison!.agrees))),
    },
  };
}

function concatenate(parts: readonly Float64Array[]): Float64Array {
  const whole = new Float64Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
