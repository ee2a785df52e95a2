import { describe, expect, it } from "vitest";
import type { Kernels } from "./index.ts";
import { allKernels, bytesOf, rowSize, weightingsOf } from "./testing/backends.ts";
import { gaussianWeights } from "./testing/weights.ts";

const kernels = await allKernels();
const { weights, importance, rows, columns } = gaussianWeights(16, 4096, 20);
const uniform = new Float32Array(columns).fill(1);

/**
 * Root mean square error of a round trip over the root mean square of these weights. The bounds are what ggml (llama.cpp v0.5.0)
 * reaches on them without importance, or with the same for all columns where it is required, rounded up in the third digit.
 */
const RELATIVE_ERRORS: Readonly<Record<string, number>> = {
  F32: 0,
  F16: 0.000213,
  BF16: 0.00178,
  Q4_0: 0.125,
  Q4_1: 0.0986,
  Q5_0: 0.0736,
  Q5_1: 0.046,
  Q8_0: 0.00962,
  Q1_0: 0.797,
  Q2_0: 0.547,
  TQ1_0: 0.653,
  TQ2_0: 0.653,
  Q2_K: 0.267,
  Q3_K: 0.151,
  Q4_K: 0.0878,
  Q5_K: 0.0445,
  Q6_K: 0.028,
  IQ1_S: 0.632,
  IQ1_M: 0.599,
  IQ2_XXS: 0.66,
  IQ2_XS: 0.501,
  IQ2_S: 0.501,
  IQ3_XXS: 0.306,
  IQ3_S: 0.251,
  IQ4_NL: 0.105,
  IQ4_XS: 0.107,
  MXFP4: 0.147,
  NVFP4: 0.096,
};

/** Types whose search for scales listens to importance. */
const IMPORTANCE_TYPES = [
  "Q4_0",
  "Q4_1",
  "Q5_0",
  "Q5_1",
  "Q2_K",
  "Q3_K",
  "Q4_K",
  "Q5_K",
  "Q6_K",
  "IQ1_S",
  "IQ1_M",
  "IQ2_XXS",
  "IQ2_XS",
  "IQ2_S",
  "IQ3_XXS",
  "IQ3_S",
  "IQ4_NL",
  "IQ4_XS",
];

function roundTrip(kernel: Kernels, type: string, importance?: Float32Array): Float32Array {
  const blocks = new Uint8Array(rows * rowSize(type, columns));
  const restored = new Float32Array(weights.length);
  const source = bytesOf(weights);
  kernel.quantize({
    type,
    sourceType: "F32",
    source,
    target: blocks,
    rows,
    columns,
    ...(importance && { importance }),
  });
  kernel.dequantize({ type, source: blocks, target: restored, rows, columns });
  return restored;
}

/** Relative error, each square weighted with that of its column. */
function errorOf(restored: Float32Array, columnWeights?: Float32Array): number {
  let error = 0;
  let power = 0;
  weights.forEach((weight, i) => {
    const factor = columnWeights ? columnWeights[i % columns]! : 1;
    error += factor * (restored[i]! - weight) ** 2;
    power += factor * weight ** 2;
  });
  return Math.sqrt(error / power);
}

describe.each(kernels)("dequantize of $info.isa kernels", (kernel) => {
  it("has a bound for every type", () => {
    expect([...kernel.types].sort()).toEqual(Object.keys(RELATIVE_ERRORS).sort());
  });

  it.each(kernel.types)("%s keeps its error bound", (type) => {
    const error = errorOf(roundTrip(kernel, type, weightingsOf(kernel, type, uniform)[0]));
    expect(error).toBeLessThanOrEqual(RELATIVE_ERRORS[type]!);
    expect(error).toBeGreaterThanOrEqual(RELATIVE_ERRORS[type]! * 0.98);
  });

  it.each(IMPORTANCE_TYPES)("%s serves important columns better when told of them", (type) => {
    const told = errorOf(roundTrip(kernel, type, importance), importance);
    const untold = errorOf(roundTrip(kernel, type, weightingsOf(kernel, type, uniform)[0]), importance);
    expect(told).toBeLessThan(untold * 0.95);
  });
});

it("restores the same values on every instruction set", () => {
  for (const type of kernels[0]!.types) {
    const [first, ...others] = kernels.map((kernel) => bytesOf(roundTrip(kernel, type, importance)));
    for (const other of others) expect(Buffer.compare(other, first!)).toBe(0);
  }
});
