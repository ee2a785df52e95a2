import { QuernError } from "@quern/tensor";
import type { Matrix } from "../matrix.ts";
import { factorErrors } from "./factor-error.ts";
import type { Transform, TransformTask } from "./transform.ts";

export interface SmoothQuantOptions {
  /** How much of the range of inputs goes to the weights; several: the best is searched for. @default 0.5 */
  readonly alpha?: number | readonly number[];
}

const SMALLEST = 1e-5;

/**
 * SmoothQuant (Xiao et al. 2023): factors are x^alpha / w^(1 - alpha), with the largest magnitudes of a column among inputs and weights, so
 * that inputs are as easy to quantize as weights.
 *
 * Among several alphas it takes the one with the least error of weights, tr(D H D^T), and of inputs in 8 bits: their error is taken for
 * uniform noise of the step largest / 127 that one scale for all columns needs, which the weights pass on.
 */
export function smoothQuant({ alpha = 0.5 }: SmoothQuantOptions = {}): Transform {
  const alphas = typeof alpha === "number" ? [alpha] : alpha;
  if (alphas.length === 0 || alphas.some((value) => !(value >= 0 && value <= 1))) {
    throw new QuernError(
      "QUANTIZE_OPTION",
      `alpha must be from 0 to 1, not ${alphas.join(", ") || "nothing"}`,
    );
  }
  const searched = alphas.length > 1;
  return {
    name: "smooth-quant",
    needs: searched ? ["largestMagnitudes", "hessian", "grid", "math"] : ["largestMagnitudes"],
    choose(task) {
      const inputs = task.largestMagnitudes!;
      const weights = largestWeights(task.layers);
      if (!searched)
        return { factors: factorsFor(inputs, weights, alphas[0]!), exponent: alphas[0]!, tried: [] };
      const errorOf = w8a8Error(task);
      const tried = alphas.map((exponent) => ({
        exponent,
        error: errorOf(factorsFor(inputs, weights, exponent)),
      }));
      const { exponent } = tried.reduce((least, next) => (next.error < least.error ? next : least));
      return { factors: factorsFor(inputs, weights, exponent), exponent, tried };
    },
  };
}

function factorsFor(inputs: Float32Array, weights: Float32Array, alpha: number): Float32Array {
  return inputs.map((input, j) =>
    Math.max(Math.max(input, SMALLEST) ** alpha / Math.max(weights[j]!, SMALLEST) ** (1 - alpha), SMALLEST),
  );
}

function largestWeights(layers: readonly Matrix[]): Float32Array {
  const largest = new Float32Array(layers[0]!.columns);
  for (const { columns, values } of layers) {
    for (let i = 0; i < values.length; i++) {
      const column = i % columns;
      largest[column] = Math.max(largest[column]!, Math.abs(values[i]!));
    }
  }
  return largest;
}

/** Relative output error of weights on the grid and inputs in 8 bits. */
function w8a8Error(task: TransformTask): (factors: Float32Array) => number {
  const inputs = task.largestMagnitudes!;
  const { matrix, tokens } = task.hessian!;
  const { layers, calibrator } = task;
  const errorOf = factorErrors({
    layers,
    grid: task.grid!,
    calibrator,
    hessian: matrix,
    math: task.math!,
  });
  return (factors) => {
    const step = inputs.reduce((most, input, j) => Math.max(most, input / factors[j]!), 0) / 127;
    return errorOf(factors, (tokens * step ** 2) / 12);
  };
}
