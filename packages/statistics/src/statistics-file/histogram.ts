/*
 * Histograms of |x| with logarithmic bins, those of `magnitudeHistogram` of @quern/kernels: the exponent and the first five bits of the
 * mantissa of the float. Bin b of 64 x 32 counts what is from (1 + m/32) 2^e on, with e = -40 + floor(b / 32) and m = b mod 32; the
 * first also what is below, zeros included, and the last what is above. A percentile is therefore known within 1/32 of itself.
 */

const LOWEST_EXPONENT = -40;
const EXPONENTS = 64;
const MANTISSA_BITS = 5;

/** Bits of a float that do not choose a bin. */
const SHIFT = 23 - MANTISSA_BITS;

/** What the upper bits of the smallest float of bin 0 are. */
const FIRST = (127 + LOWEST_EXPONENT) << MANTISSA_BITS;

/** Counts of a histogram. */
export const HISTOGRAM_BINS: number = EXPONENTS << MANTISSA_BITS;

/** Adds to the counts of a histogram the values given, whatever their signs; they must be finite. */
export function addToHistogram(counts: Float64Array, values: Float32Array): void {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let index = 0; index < bits.length; index++) {
    const bin = ((bits[index]! & 0x7fffffff) >>> SHIFT) - FIRST;
    counts[bin < 0 ? 0 : bin < HISTOGRAM_BINS ? bin : HISTOGRAM_BINS - 1]!++;
  }
}

/**
 * The absolute value below which a share of the values is. Within a bin, values are taken as spread evenly; below (1 + 1/32) 2^-40 they are 0.
 *
 * @param params.share 0 to 1.
 * @param params.most The largest absolute value, if known: there is nothing above.
 * @returns NaN where nothing was counted
 */
export function percentile(params: { histogram: Float64Array; share: number; most?: number }): number {
  const { histogram, share, most = Infinity } = params;
  const total = histogram.reduce((sum, count) => sum + count, 0);
  if (total === 0) return NaN;
  const wanted = share * total;
  let below = 0;
  let value = 0;
  for (const [bin, count] of histogram.entries()) {
    if (count === 0) continue;
    value = valueWithin(bin, Math.min(1, (wanted - below) / count));
    below += count;
    if (below >= wanted) break;
  }
  return Math.min(value, most);
}

function valueWithin(bin: number, part: number): number {
  if (bin === 0) return 0;
  const low = lowerEdge(bin);
  return bin === HISTOGRAM_BINS - 1 ? low : low + (lowerEdge(bin + 1) - low) * part;
}

/** The smallest value of a bin; of the first, what is below counts too. */
export function lowerEdge(bin: number): number {
  const mantissa = 1 + (bin % 2 ** MANTISSA_BITS) / 2 ** MANTISSA_BITS;
  return mantissa * 2 ** (LOWEST_EXPONENT + Math.floor(bin / 2 ** MANTISSA_BITS));
}
