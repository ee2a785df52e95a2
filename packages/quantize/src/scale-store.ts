import { QuernError, SMALL_FLOATS } from "@quern/tensor";
import { largestOf, roundScale, roundToScaleType, SCALE_TYPES, type ScaleType } from "./scale-type.ts";

/** How the scales of tiles are stored: they are rounded before codes are chosen. */
export interface ScaleStore {
  /** The scale at which `magnitude` becomes about `level`. Positive, whatever the magnitude. */
  scaleFor(magnitude: number, level: number): number;
  /** The nearest positive scale that can be stored. */
  round(scale: number): number;
  /** Whether scales are powers of two. @default false */
  readonly doubles?: boolean;
}

/**
 * Scales as numbers of a float type. A tile of zeros gets 1.
 *
 * @throws QuernError `QUANTIZE_OPTION` for a type that is none of scales. `scaleFor` throws QuernError `QUANTIZE_SCALE_TOO_LARGE` for weights that need a scale beyond the largest number of the type.
 */
export function floatScales(type: ScaleType): ScaleStore {
  if (!SCALE_TYPES.includes(type)) {
    throw new QuernError("QUANTIZE_OPTION", `scales are of type ${SCALE_TYPES.join(", ")}, not ${type}`);
  }
  const largest = largestOf(type);
  return {
    scaleFor(magnitude, level) {
      if (magnitude === 0) return 1;
      const scale = Math.fround(magnitude / level);
      if (scale <= largest) return roundScale(type, scale);
      throw new QuernError(
        "QUANTIZE_SCALE_TOO_LARGE",
        `weights that range over ${magnitude} need the scale ${scale}, but scales are stored as ${type}: at most ${largest}`,
      );
    },
    round: (scale) => roundScale(type, scale),
  };
}

const { fround } = Math;
const E8M0 = SMALL_FLOATS.F8_E8M0;
const E4M3 = SMALL_FLOATS.F8_E4M3;
const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);
/** The smallest number of E8M0, which has no 0. */
const SMALLEST_POWER = 2 ** -127;

/**
 * Powers of two, 2^(code - 127), as microscaling formats store them. The exponent is that of the magnitude, one more where its significand
 * is at least 1.75, less that of the level (compressed-tensors, `mxfp_utils.py`).
 */
export const EXPONENT_SCALES: ScaleStore = {
  scaleFor(magnitude, level) {
    float[0] = level;
    const exponent = (bits[0]! >>> 23) - 127;
    float[0] = magnitude;
    bits[0]! += 2 ** 21;
    const code = (bits[0]! >>> 23) - exponent;
    return E8M0.decode(Math.min(Math.max(code, 0), 254));
  },
  round: (scale) => E8M0.decode(E8M0.encode(Math.max(scale, SMALLEST_POWER), true)),
  doubles: true,
};

/** The code of a scale in E8M0. */
export function exponentCode(scale: number): number {
  return E8M0.encode(scale, true);
}

/**
 * E4M3 numbers that are divided by a number of the whole tensor, as NVFP4 stores them (compressed-tensors, `nvfp4_quantized.py`). A tile of
 * zeros gets 0.125.
 */
export function globalScales(global: number): ScaleStore {
  const store = (value: number): number => (roundToScaleType("F8_E4M3", value) || 0.125) / global;
  return {
    scaleFor: (magnitude, level) => fround(store(fround(global * fround(magnitude / level)))),
    round: (scale) => fround(store(fround(scale * global))),
  };
}

/** The code of a scale in E4M3 before it is divided by the number of the whole tensor. */
export function globalScaleCode(scale: number, global: number): number {
  return E4M3.encode(fround(scale * global), true);
}
