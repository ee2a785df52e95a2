import { headDimension } from "./hyperparameters.ts";
import type { Config } from "./config.ts";
import { ropeParameters } from "./rope.ts";

const f32 = Math.fround;

/**
 * Factors by which Llama 3.1 slows down each rotary frequency (`rope_type` "llama3"): none for short waves, `factor` for waves
 * longer than the original context, a mixture between (conversion/llama.py, `generate_extra_tensors`).
 *
 * The reference computes them in float32 with PyTorch, where a number divided by a tensor is the product with its reciprocal.
 */
export function llama3RopeFactors(config: Config): readonly number[] | undefined {
  const rope = ropeParameters(config).full;
  if (rope.optionalString("rope_type")?.toLowerCase() !== "llama3") return undefined;
  const base = rope.optionalNumber("rope_theta") ?? 10_000;
  const dimension = headDimension(config);
  const factor = rope.optionalNumber("factor") ?? 8;
  const low = rope.optionalNumber("low_freq_factor") ?? 1;
  const high = rope.optionalNumber("high_freq_factor") ?? 4;
  const context = rope.optionalInteger("original_max_position_embeddings") ?? 8192;

  const factors: number[] = [];
  for (let index = 0; index < dimension; index += 2) {
    const frequency = reciprocal(f32(base ** f32(index / dimension)));
    const wavelength = f32(reciprocal(frequency) * f32(2 * Math.PI));
    if (wavelength < f32(context / high)) {
      factors.push(1);
    } else if (wavelength > f32(context / low)) {
      factors.push(factor);
    } else {
      const turns = f32(reciprocal(wavelength) * f32(context));
      const smooth = f32(f32(turns - f32(low)) / f32(high - low));
      factors.push(reciprocal(f32(f32(f32(1 - smooth) / f32(factor)) + smooth)));
    }
  }
  return factors;
}

function reciprocal(value: number): number {
  return f32(1 / value);
}
