import { QuernError } from "@quern/tensor";
import { wholeRange, type Calibrator, type WeightedValues } from "./calibrator.ts";

/**
 * The magnitude at which values, clipped there and quantized, lose least information: over magnitudes in `bins` bins of equal width, for
 * each number of first bins that are kept (from 2^(bits - 1) on), the Kullback-Leibler divergence of what quantization makes of the bins
 * from the clipped bins (Migacz 2017, "8-bit inference with TensorRT"). The result goes as far below 0 as above, or from 0 where no value
 * is negative.
 */
export function entropy({ bins = 2048 }: { readonly bins?: number } = {}): Calibrator {
  if (!(Number.isInteger(bins) && bins >= 2)) {
    throw new QuernError("QUANTIZE_OPTION", `the number of bins must be an integer from 2 on, not ${bins}`);
  }
  return {
    name: "entropy",
    fewestValues: 2048,
    range({ batches, bits }) {
      const whole = wholeRange(batches);
      const most = Math.max(-whole.low, whole.high);
      if (most === 0) return whole;
      const counts = linearHistogram(batches, bins, most);
      const levels = Math.min(2 ** (bits - 1), bins);
      let kept = bins;
      let least = Infinity;
      for (let count = levels; count <= bins; count++) {
        const found = divergence(counts, count, levels);
        if (found < least) {
          least = found;
          kept = count;
        }
      }
      const high = ((kept + (kept === bins ? 0 : 0.5)) / bins) * most;
      return { low: whole.low < 0 ? -high : 0, high };
    },
  };
}

/** Weights of magnitudes in bins of equal width up to `most`. */
function linearHistogram(batches: readonly WeightedValues[], bins: number, most: number): Float64Array {
  const counts = new Float64Array(bins);
  for (const { values, weights } of batches) {
    for (let i = 0; i < values.length; i++) {
      const bin = Math.min(Math.floor((Math.abs(values[i]!) / most) * bins), bins - 1);
      counts[bin]! += weights ? weights[i]! : 1;
    }
  }
  return counts;
}

/** Of the first `kept` bins, the rest counted in the last of them, from what is left of them in `levels` levels. */
function divergence(counts: Float64Array, kept: number, levels: number): number {
  const clipped = counts.slice(0, kept);
  const total = counts.reduce((sum, count) => sum + count, 0);
  let inside = 0;
  for (const count of clipped) inside += count;
  clipped[kept - 1]! += total - inside;
  let sum = 0;
  for (let level = 0; level < levels; level++) {
    const from = Math.floor((level * kept) / levels);
    const to = Math.floor(((level + 1) * kept) / levels);
    // A level stands for its bins that were not empty, in equal parts; what was clipped is no part of the level.
    let inLevel = 0;
    let occupied = 0;
    for (let bin = from; bin < to; bin++) {
      inLevel += counts[bin]!;
      if (clipped[bin]! > 0) occupied++;
    }
    for (let bin = from; bin < to; bin++) {
      const p = clipped[bin]! / total;
      if (p === 0) continue;
      const q = inLevel / occupied / inside;
      if (!(q > 0)) return Infinity;
      sum += p * Math.log(p / q);
    }
  }
  return sum;
}
