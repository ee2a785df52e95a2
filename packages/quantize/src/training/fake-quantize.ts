import { roundToEven } from "../scale-type.ts";

/** Integers from `-negative` to `positive`, times a step: the codes of quantization-aware training. */
export interface FakeQuantizeParams {
  readonly values: Float32Array;
  /** Positive. */
  readonly step: number;
  readonly negative: number;
  readonly positive: number;
}

/** Values as they would be after quantization: step * round(clamp(value / step)). */
export function fakeQuantize({ values, step, negative, positive }: FakeQuantizeParams): Float32Array {
  return values.map((value) => step * roundToEven(Math.min(Math.max(value / step, -negative), positive)));
}

export interface FakeQuantizeGradients {
  /** By value. */
  readonly values: Float32Array;
  readonly step: number;
}

/**
 * What a loss's gradient by the quantized values is by the values and by the step. The rounding counts as the identity (the
 * straight-through estimator, Bengio et al. 2013): values inside the range get the gradient, others none. The step's is that of LSQ
 * (Esser et al. 2020, equations 2 and 3), round(v / s) - v / s inside and the clamp outside, scaled by 1 / sqrt(count * positive).
 *
 * @param params.gradients by quantized value
 */
export function fakeQuantizeGradients(
  params: FakeQuantizeParams & {
    readonly gradients: Float32Array;
    /** Whether the step's gradient is scaled. @default true */
    readonly scaled?: boolean;
  },
): FakeQuantizeGradients {
  const { values, step, negative, positive, gradients, scaled = true } = params;
  const result = new Float32Array(values.length);
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    const ratio = values[i]! / step;
    const gradient = gradients[i]!;
    if (ratio <= -negative) sum -= gradient * negative;
    else if (ratio >= positive) sum += gradient * positive;
    else {
      sum += gradient * (roundToEven(ratio) - ratio);
      result[i] = gradient;
    }
  }
  const scale = scaled ? 1 / Math.sqrt(values.length * Math.max(positive, 1)) : 1;
  return { values: result, step: sum * scale };
}

/** LSQ's first step: 2 mean|v| / sqrt(positive). */
export function initialStep({ values, positive }: Pick<FakeQuantizeParams, "values" | "positive">): number {
  const sum = values.reduce((total, value) => total + Math.abs(value), 0);
  return (2 * sum) / values.length / Math.sqrt(Math.max(positive, 1));
}
