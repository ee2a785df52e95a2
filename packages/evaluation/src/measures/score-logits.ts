/** What one row of logits says. Logarithms are natural. */
export interface LogitSummary {
  /** The largest logit, and where it first stands. */
  readonly largest: number;
  readonly top: number;
  /** Logarithm of the sum of exp(logit): subtracted from a logit, it gives the logarithm of a probability. */
  readonly logSum: number;
}

/**
 * Normalizes a row of logits; sums are taken in double precision.
 *
 * @param logits One for each token of the vocabulary.
 * @returns With a `logSum` of NaN when not all logits are finite.
 */
export function summarizeLogits(logits: Float32Array): LogitSummary {
  const { largest, top } = largestOf(logits);
  let sum = 0;
  for (let token = 0; token < logits.length; token++) sum += Math.exp(logits[token]! - largest);
  return { largest, top, logSum: largest + Math.log(sum) };
}

/** What two rows of logits for the same position say of each other. */
export interface LogitComparison {
  readonly reference: LogitSummary;
  readonly model: LogitSummary;
  /** Kullback-Leibler divergence of the model from the reference over the whole vocabulary, nats. */
  readonly divergence: number;
}

/**
 * KLD = sum of p (ln p - ln q) over all tokens, p of the reference and q of the model; without the probabilities themselves: the mean,
 * weighted by p, of the difference of the logits, less the difference of the logarithms of their sums. Logits are taken from the
 * largest of their row, so that these differences are small, and sums in double precision: rows that are equal give 0.
 */
export function compareLogits(reference: Float32Array, model: Float32Array): LogitComparison {
  const { largest: referenceLargest, top: referenceTop } = largestOf(reference);
  const { largest: modelLargest, top: modelTop } = largestOf(model);
  let referenceSum = 0;
  let modelSum = 0;
  let difference = 0;
  for (let token = 0; token < reference.length; token++) {
    const ofReference = reference[token]! - referenceLargest;
    const ofModel = model[token]! - modelLargest;
    const weight = Math.exp(ofReference);
    referenceSum += weight;
    modelSum += Math.exp(ofModel);
    difference += weight * (ofReference - ofModel);
  }
  const divergence = difference / referenceSum - Math.log(referenceSum) + Math.log(modelSum);
  return {
    reference: {
      largest: referenceLargest,
      top: referenceTop,
      logSum: referenceLargest + Math.log(referenceSum),
    },
    model: { largest: modelLargest, top: modelTop, logSum: modelLargest + Math.log(modelSum) },
    // Less than 0 is rounding.
    divergence: Math.max(divergence, 0),
  };
}

/** The largest is NaN when there is a logit that is not finite, and so is what is computed from it. */
function largestOf(logits: Float32Array): { largest: number; top: number } {
  let largest = logits[0]!;
  let top = 0;
  // NaN and infinity are what is not 0 when it is subtracted from itself.
  let broken = 0;
  for (let token = 0; token < logits.length; token++) {
    const logit = logits[token]!;
    broken += logit - logit;
    if (logit > largest) {
      largest = logit;
      top = token;
    }
  }
  return { largest: broken === 0 ? largest : Number.NaN, top };
}
