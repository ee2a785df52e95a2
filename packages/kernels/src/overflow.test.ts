// Weights that are finite, but out of the range of the 16-bit floats or the E8M0 scales of a type.
import { describe, expect, it } from "vitest";
import type { Kernels, QuantizeFault } from "./index.ts";
import { allKernels, blockSize, bytesOf, rowSize, weightingsOf } from "./testing/backends.ts";
import { edgeWeights } from "./testing/weights.ts";

const kernels = await allKernels();

/** What rounds to infinity in F16: half way from its largest number, 65504, to 65536. */
const F16_OVERFLOWS = 65_520;
/** The same in BF16. */
const BF16_OVERFLOWS = 2 ** 128 - 2 ** 119;

/**
 * A weight of this size, alone in a block of zeros, makes the type overflow; smaller ones do not. It is the largest code times the
 * largest code of a scale times what a scale overflows at, which the search for scales changes by less than `tolerance`.
 */
const LIMITS: readonly (readonly [type: string, limit: number, tolerance: number])[] = [
  ["F16", F16_OVERFLOWS, 0],
  ["F16", -F16_OVERFLOWS, 0],
  ["BF16", BF16_OVERFLOWS, 0],
  ["BF16", -BF16_OVERFLOWS, 0],
  ["Q4_0", F16_OVERFLOWS * 8, 0],
  ["Q4_0", -F16_OVERFLOWS * 8, 0],
  ["Q5_0", F16_OVERFLOWS * 16, 0],
  ["Q5_0", -F16_OVERFLOWS * 16, 0],
  ["Q8_0", F16_OVERFLOWS * 127, 0],
  ["Q8_0", -F16_OVERFLOWS * 127, 0],
  ["Q1_0", F16_OVERFLOWS * 128, 0],
  ["Q1_0", -F16_OVERFLOWS * 128, 0],
  ["Q2_0", F16_OVERFLOWS, 0],
  ["Q2_0", -F16_OVERFLOWS, 0],
  ["TQ1_0", F16_OVERFLOWS, 0],
  ["TQ1_0", -F16_OVERFLOWS, 0],
  ["TQ2_0", F16_OVERFLOWS, 0],
  ["TQ2_0", -F16_OVERFLOWS, 0],
  // Types with minimums: positive weights need large scales, negative ones large minimums.
  ["Q4_1", F16_OVERFLOWS * 15, 0],
  ["Q4_1", -F16_OVERFLOWS, 0],
  ["Q5_1", F16_OVERFLOWS * 31, 0],
  ["Q5_1", -F16_OVERFLOWS, 0],
  ["Q2_K", F16_OVERFLOWS * 15 * 3, 1e-3],
  ["Q2_K", -F16_OVERFLOWS * 15, 1e-3],
  ["Q4_K", F16_OVERFLOWS * 63 * 15, 1e-3],
  ["Q4_K", -F16_OVERFLOWS * 63, 1e-3],
  ["Q5_K", F16_OVERFLOWS * 63 * 31, 1e-3],
  ["Q5_K", -F16_OVERFLOWS * 63, 1e-3],
  ["Q3_K", F16_OVERFLOWS * 32 * 4, 1e-2],
  ["Q3_K", -F16_OVERFLOWS * 32 * 4, 1e-2],
  ["Q6_K", F16_OVERFLOWS * 128 * 32, 1e-2],
  ["Q6_K", -F16_OVERFLOWS * 128 * 32, 1e-2],
  // Here the zeros have a part in the scale, since no code is for them.
  ["IQ1_S", F16_OVERFLOWS * 15, 0.05],
  ["IQ1_S", -F16_OVERFLOWS * 15, 0.05],
  // Without importance, zeros do not count, and any of the codes is as good for the weight, the one for 1/8 too.
  ["IQ1_M", (F16_OVERFLOWS / 1.1125) * 15 * 1.125, 0.9],
  ["IQ1_M", (-F16_OVERFLOWS / 1.1125) * 15 * 1.125, 0.9],
  ["IQ2_XXS", F16_OVERFLOWS * 31 * 5, 0.1],
  ["IQ2_XXS", -F16_OVERFLOWS * 31 * 5, 0.1],
  ["IQ2_XS", F16_OVERFLOWS * 31 * 5, 0.05],
  ["IQ2_XS", -F16_OVERFLOWS * 31 * 5, 0.05],
  ["IQ2_S", F16_OVERFLOWS * 31 * 5, 0.02],
  ["IQ2_S", -F16_OVERFLOWS * 31 * 5, 0.02],
  // The codebook has no point for a weight that is alone, but several that are near; zeros have a part in the choice, since no code
  // is for them.
  ["IQ3_XXS", F16_OVERFLOWS * 31 * 13, 0.3],
  ["IQ3_XXS", -F16_OVERFLOWS * 31 * 13, 0.3],
  ["IQ3_S", F16_OVERFLOWS * 31 * 13.5, 0.1],
  ["IQ3_S", -F16_OVERFLOWS * 31 * 13.5, 0.1],
  // The extreme becomes the largest value of the table, 113, or the smallest, -127.
  ["IQ4_NL", F16_OVERFLOWS * 120, 0.07],
  ["IQ4_NL", -F16_OVERFLOWS * 120, 0.07],
  ["IQ4_XS", F16_OVERFLOWS * 32 * 120, 0.07],
  ["IQ4_XS", -F16_OVERFLOWS * 32 * 120, 0.07],
];

const LARGEST_FLOAT32 = 3.4028234663852886e38;

/** A weight that surely overflows. */
function wellBeyond(limit: number): number {
  return Math.max(-LARGEST_FLOAT32, Math.min(LARGEST_FLOAT32, limit * 1.3));
}

interface Outcome {
  readonly result: QuantizeFault | undefined;
  readonly target: Uint8Array;
}

function quantize(
  kernel: Kernels,
  type: string,
  weights: Float32Array,
  columns: number,
  importance?: Float32Array,
): Outcome {
  const rows = weights.length / columns;
  const target = new Uint8Array(rows * rowSize(type, columns));
  const source = bytesOf(weights);
  const result = kernel.quantize({
    type,
    sourceType: "F32",
    source,
    target,
    rows,
    columns,
    importance: importance ?? weightingsOf(kernel, type, new Float32Array(columns).fill(1))[0],
  });
  return { result, target };
}

/** The first of the blocks that have values which are not finite, as a reader sees them, or NaN for a scale. */
function overflowIn(kernel: Kernels, type: string, target: Uint8Array): QuantizeFault | undefined {
  if (type === "MXFP4") {
    // In E8M0 all bits of NaN are ones. ggml reads it as a power of two.
    const size = rowSize(type, blockSize(type));
    const scales = target.filter((_, i) => i % size === 0);
    const block = scales.indexOf(0xff);
    return block < 0 ? undefined : overflowAt(type, block * blockSize(type));
  }
  const columns = (target.length / rowSize(type, blockSize(type))) * blockSize(type);
  const values = new Float32Array(columns);
  kernel.dequantize({ type, source: target, target: values, rows: 1, columns });
  const index = values.findIndex((value) => !Number.isFinite(value));
  return index < 0 ? undefined : overflowAt(type, index);
}

function overflowAt(type: string, index: number): QuantizeFault {
  return { fault: "overflow", index: index - (index % blockSize(type)) };
}

/** What every kernel says about one block with this weight. */
function loneWeight(type: string, weight: number, weighted: boolean): QuantizeFault | undefined {
  const weights = new Float32Array(blockSize(type));
  weights[0] = weight;
  const importance = weighted ? new Float32Array(weights.length).fill(1) : undefined;
  const [first, ...others] = kernels.map((kernel) =>
    quantize(kernel, type, weights, weights.length, importance),
  );
  for (const other of others) expect(other).toEqual(first);
  expect(first!.result).toEqual(overflowIn(kernels[0]!, type, first!.target));
  return first!.result;
}

/** The float32 next to `value`, towards zero. */
function towardsZero(value: number): number {
  const float = Float32Array.of(value);
  new Uint32Array(float.buffer)[0]! -= 1;
  return float[0]!;
}

describe.each(LIMITS)("%s with a weight of about %d", (type, limit, tolerance) => {
  it("tells what overflows from what fits", () => {
    const overflow = { fault: "overflow", index: 0 };
    const least = limit * (1 + tolerance);
    const most = tolerance === 0 ? towardsZero(limit) : limit * (1 - tolerance);
    expect(loneWeight(type, least, false)).toEqual(overflow);
    expect(loneWeight(type, most, false)).toBeUndefined();
    // With importance the search also tries scales that are smaller and larger than the usual one.
    expect(loneWeight(type, wellBeyond(limit), true)).toEqual(overflow);
    expect(loneWeight(type, limit * 0.7, true)).toBeUndefined();
  });

  it.each(kernels)("finds the first block that overflows, $info.isa", (kernel) => {
    const [rows, columns] = [100, 1024];
    for (const index of [0, 1, 31, 16_383, 16_384, 17_000, 65_535, 65_536, rows * columns - 1]) {
      const weights = new Float32Array(rows * columns);
      weights[index] = wellBeyond(limit);
      weights[Math.min(index + 3000, weights.length - 1)] = wellBeyond(limit);
      const { result } = quantize(kernel, type, weights, columns);
      expect(result).toEqual(overflowAt(type, index));
    }
  });
});

describe.each(kernels)("overflow in $info.isa kernels", (kernel) => {
  it("finds nothing in F32", () => {
    const { result } = quantize(kernel, "F32", new Float32Array(100).fill(LARGEST_FLOAT32), 100);
    expect(result).toBeUndefined();
  });

  it("finds nothing in NVFP4, whose scales are clamped", () => {
    for (const weight of [LARGEST_FLOAT32, 2 ** -126, 2 ** -149]) {
      const { result } = quantize(kernel, "NVFP4", new Float32Array(128).fill(weight), 128);
      expect(result).toBeUndefined();
    }
  });

  it("finds the weights for which MXFP4 has no scale", () => {
    const [rows, columns] = [100, 1024];
    for (const index of [0, 31, 32, 17_000, rows * columns - 1]) {
      // Scales go from 2^-127, for weights of 2^-125, to 2^125; below that ggml's wrap around, beginning with 2^-126.
      for (const [weight, fault] of [
        [2 ** -126, overflowAt("MXFP4", index)],
        [-(2 ** -125 - 2 ** -140), overflowAt("MXFP4", index)],
        [2 ** -125, undefined],
        [2 ** -127, undefined],
        [LARGEST_FLOAT32, undefined],
      ] as const) {
        const weights = new Float32Array(rows * columns);
        weights[index] = weight;
        expect(quantize(kernel, "MXFP4", weights, columns).result).toEqual(fault);
      }
    }
  });

  it.each(["F16", "BF16"])("looks at every element of %s, whatever fills the vectors", (type) => {
    for (let columns = 1; columns <= 99; columns++) {
      for (let index = 0; index < columns; index++) {
        const weights = new Float32Array(columns).fill(-1);
        weights[index] = -LARGEST_FLOAT32;
        expect(quantize(kernel, type, weights, columns).result).toEqual({ fault: "overflow", index });
      }
    }
  });

  it.each(["Q4_1", "Q5_1", "Q2_K", "Q4_K", "Q5_K"])(
    "%s: finds the first block whether its scale or its minimum overflows",
    (type) => {
      const size = blockSize(type);
      const [scale, minimum] = LIMITS.filter(([name]) => name === type).map(([, limit]) => wellBeyond(limit));
      for (const [early, late] of [
        [scale, minimum],
        [minimum, scale],
      ] as const) {
        const weights = new Float32Array(10 * size);
        weights[7 * size] = late!;
        weights[4 * size] = early!;
        const { result } = quantize(kernel, type, weights, weights.length);
        expect(result).toEqual({ fault: "overflow", index: 4 * size });
      }
    },
  );

  it.each(kernel.types)("%s: agrees with what a reader sees, and writes all blocks", (type) => {
    const columns = 1024;
    const { weights, importance, rows } = edgeWeights(100, columns, 77);
    for (const weighting of weightingsOf(kernel, type, importance)) {
      const { result, target } = quantize(kernel, type, weights, columns, weighting);
      expect(result).toEqual(overflowIn(kernel, type, target));
      for (let row = 0; row < rows; row++) {
        const alone = quantize(
          kernel,
          type,
          weights.subarray(row * columns, (row + 1) * columns),
          columns,
          weighting,
        );
        const size = rowSize(type, columns);
        expect(Buffer.compare(alone.target, target.subarray(row * size, (row + 1) * size))).toBe(0);
      }
    }
  });

  it.each(kernel.types)("%s: reports a NaN or an infinity rather than an overflow before it", (type) => {
    const columns = 1024;
    for (const value of [NaN, Infinity, -Infinity]) {
      for (const index of [6, 20_000, 90_000]) {
        const weights = new Float32Array(100 * columns);
        weights[5] = 3.4e38;
        weights[index] = value;
        weights[99_999] = value;
        expect(quantize(kernel, type, weights, columns).result).toEqual({ fault: "not-finite", index });
      }
    }
  });
});
