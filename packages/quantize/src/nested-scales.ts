import { DYNAMIC_VALUES } from "./codes/bitsandbytes-tables.ts";
import { byMiddles } from "./codes/table-code.ts";

/** Tiles whose scales share an absmax. */
const BLOCK = 256;

const { fround } = Math;
const nearest = byMiddles(DYNAMIC_VALUES);

export interface NestedScales {
  /** In the dynamic map, one by scale. */
  readonly codes: Uint8Array;
  /** One by 256 scales. */
  readonly absmax: Float32Array;
  /** The mean of the scales. */
  readonly offset: number;
  /** What the scales have become. */
  readonly scales: Float32Array;
}

/**
 * Double quantization (Dettmers et al. 2023, "QLoRA", section 3): scales less their mean, in blocks of 256, in the 8-bit dynamic map; the
 * arithmetic is that of bitsandbytes' `quantize_blockwise`. The mean is summed in F64 and rounded once.
 */
export function nestScales(scales: Float32Array): NestedScales {
  const offset = fround(scales.reduce((sum, scale) => sum + scale, 0) / scales.length);
  const codes = new Uint8Array(scales.length);
  const absmax = new Float32Array(Math.ceil(scales.length / BLOCK));
  const result = new Float32Array(scales.length);
  for (let block = 0; block < absmax.length; block++) {
    const differences = scales.slice(block * BLOCK, (block + 1) * BLOCK).map((scale) => scale - offset);
    const largest = differences.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const whole = differences.length === BLOCK;
    // An incomplete block is divided by its absmax, which is not 0 then; a whole one is multiplied by the reciprocal.
    absmax[block] = whole ? largest : Math.max(largest, 1e-38);
    const reciprocal = fround(1 / Math.max(largest, fround(1e-38)));
    for (const [i, difference] of differences.entries()) {
      const x = whole ? fround(difference * reciprocal) : fround(difference / absmax[block]!);
      const code = nearest(Math.min(Math.max(x, -1), 1));
      const at = block * BLOCK + i;
      codes[at] = code;
      result[at] = fround(DYNAMIC_VALUES[code]! * absmax[block]!) + offset;
    }
  }
  return { codes, absmax, offset, scales: result };
}
