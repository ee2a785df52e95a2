import type { LayerParameters } from "@quern/checkpoints";
import type { MemberSpec } from "@quern/quantize";
import { addToHistogram, HISTOGRAM_BINS, type InputStatistics } from "@quern/statistics";
import { describe, expect, it } from "vitest";
import type { PlannedLinear } from "../plan.ts";
import { inputScale } from "./input-scale.ts";

const ROWS = 500;
const COLUMNS = 8;

/** Inputs of at most about 4, and one of 900 as the first token has it. */
const inputs = Float32Array.from({ length: ROWS * COLUMNS }, (_, i) => 4 * Math.sin(i * i));
inputs[5] = -900;

function statisticsOf(values: Float32Array): InputStatistics {
  const histogram = new Float64Array(HISTOGRAM_BINS);
  addToHistogram(histogram, values);
  const largest = new Float32Array(COLUMNS);
  for (const [i, value] of values.entries()) {
    largest[i % COLUMNS] = Math.max(largest[i % COLUMNS]!, Math.abs(value));
  }
  const none = new Float32Array(COLUMNS);
  return {
    tokens: ROWS,
    mean: none,
    meanSquare: none,
    meanMagnitude: none,
    largestMagnitude: largest,
    histogram,
  };
}

function layerOf(format: string, calibrator?: MemberSpec): PlannedLinear {
  const parameters: LayerParameters = {
    bits: 8,
    tile: { rows: 1, columns: "all" },
    symmetric: true,
    scaleType: "BF16",
    activations: "static",
  };
  return {
    linear: { module: "layer" },
    weights: { tensor: "layer.weight" },
    decision: { format, parameters, ...(calibrator && { activations: { calibrator } }) },
    layer: { rows: 8, columns: COLUMNS, parameters },
  } as unknown as PlannedLinear;
}

describe.each([
  ["int-quantized", 127],
  ["float-quantized", 448],
])("%s", (format, largest) => {
  it("spans all inputs unless there is a calibrator", () => {
    expect(inputScale(layerOf(format), statisticsOf(inputs))).toBeCloseTo(900 / largest, 5);
  });

  it.each<[MemberSpec, number, number]>([
    [{ name: "absolute-maximum" }, 899, 901],
    [{ name: "percentile", options: { share: 0.999 } }, 3.8, 4.2],
  ])("clips what a calibrator leaves out: %j", (calibrator, low, high) => {
    const range = largest * inputScale(layerOf(format, calibrator), statisticsOf(inputs));
    expect(range).toBeGreaterThan(low);
    expect(range).toBeLessThan(high);
  });

  it("looks at inputs held out where the histogram is not known", () => {
    const { histogram: _changed, ...rest } = statisticsOf(inputs);
    const calibrator = { name: "percentile", options: { share: 1 } };
    const heldOut = inputs.subarray(COLUMNS).map((value) => value / 2);
    const range = largest * inputScale(layerOf(format, calibrator), { ...rest, heldOut });
    expect(range).toBeGreaterThan(1.9);
    expect(range).toBeLessThan(2.1);
    expect(() => inputScale(layerOf(format, calibrator), rest)).toThrow(
      expect.objectContaining({ code: "STATISTICS_NOT_COLLECTED", subject: { tensor: "layer" } }),
    );
  });

  it("is 1 for inputs that are always 0, and refused for too few", () => {
    const nothing = statisticsOf(new Float32Array(ROWS * COLUMNS));
    expect(inputScale(layerOf(format, { name: "percentile" }), nothing)).toBe(1);
    const few = statisticsOf(inputs.subarray(0, COLUMNS));
    expect(() => inputScale(layerOf(format, { name: "entropy" }), few)).toThrow(
      expect.objectContaining({ code: "QUANTIZE_TOO_FEW_VALUES" }),
    );
  });
});

it("makes 8 bits follow from errors: inputs of integers are worth more codes than one that is far away", () => {
  const calibrator = { name: "mean-squared-error", options: { steps: 1000, mostShrink: 0.999, norm: 2 } };
  const near = inputs.map((value, i) => (i === 5 ? 12 : value));
  const scale = inputScale(layerOf("int-quantized", calibrator), statisticsOf(near));
  expect(127 * scale).toBeGreaterThan(3.9);
  expect(127 * scale).toBeLessThanOrEqual(12.001);
});
