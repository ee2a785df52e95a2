import { describe, expect, it } from "vitest";
import { correctBias } from "../bias-correction.ts";
import { uniform } from "../grids/uniform.ts";
import { gptq } from "../roundings/gptq.ts";
import { nearest } from "../roundings/nearest.ts";
import { roundMatrix } from "../roundings/round-matrix.ts";
import { gaussian, gram } from "../testing/random.ts";
import { layerUnderTest } from "../testing/tasks.ts";
import { holdOutGuard } from "./hold-out-guard.ts";
import { outputError, outputErrorOn } from "./output-error.ts";

describe("output errors", () => {
  it("are those of the outputs, from the Hessian and from inputs", async () => {
    const { matrix, heldOut, math } = await layerUnderTest(7, 40);
    const values = matrix.values.map((value, i) => value + 0.1 * Math.sin(i));
    let [error, signal] = [0, 0];
    for (let start = 0; start < heldOut.length; start += 40) {
      for (let row = 0; row < 7; row++) {
        let [difference, output] = [0, 0];
        for (let j = 0; j < 40; j++) {
          difference += heldOut[start + j]! * (matrix.values[row * 40 + j]! - values[row * 40 + j]!);
          output += heldOut[start + j]! * matrix.values[row * 40 + j]!;
        }
        error += difference ** 2;
        signal += output ** 2;
      }
    }
    for (const found of [
      outputErrorOn({ matrix, values, inputs: heldOut, math }),
      outputError({ matrix, values, hessian: gram(heldOut, 40), math }),
    ]) {
      expect(found.error / error).toBeCloseTo(1, 4);
      expect(found.signal / signal).toBeCloseTo(1, 4);
      expect(found.relative).toBe(found.error / found.signal);
    }
    expect(outputErrorOn({ matrix, values: matrix.values, inputs: heldOut, math }).relative).toBe(0);
  });

  it("need what fits", async () => {
    const { matrix, heldOut, math } = await layerUnderTest(7, 40);
    const shape = expect.objectContaining({ code: "QUANTIZE_SHAPE" }) as Error;
    expect(() => outputErrorOn({ matrix, values: matrix.values, inputs: heldOut.subarray(1), math })).toThrow(
      shape,
    );
    expect(() => outputErrorOn({ matrix, values: matrix.values.subarray(1), inputs: heldOut, math })).toThrow(
      shape,
    );
  });
});

describe("the hold-out guard", () => {
  it("keeps the better one, and tells both errors", async () => {
    const { matrix, hessian, heldOut, math } = await layerUnderTest(16, 64);
    const task = { matrix, grid: uniform({ bits: 3, symmetric: false }), hessian, math };
    const plain = roundMatrix({ ...task, rounding: nearest() });
    const candidate = roundMatrix({ ...task, rounding: gptq() });
    const verdict = holdOutGuard({ matrix, candidate, baseline: plain, inputs: heldOut, math });
    expect(verdict).toMatchObject({ kept: candidate, keptCandidate: true });
    expect(verdict.candidateError).toBeLessThan(verdict.baselineError);
    const errorOf = (values: Float32Array): number =>
      outputErrorOn({ matrix, values, inputs: heldOut, math }).relative;
    expect(verdict.candidateError).toBe(errorOf(candidate.values));
    expect(verdict.baselineError).toBe(errorOf(plain.values));
    // A Hessian of inputs that have nothing to do with those that come.
    const other = { matrix: gram(gaussian(3 * 64, 77), 64), tokens: 10_000 };
    const misled = roundMatrix({ ...task, hessian: other, rounding: gptq() });
    const kept = holdOutGuard({ matrix, candidate: misled, baseline: plain, inputs: heldOut, math });
    expect(kept).toMatchObject({ kept: plain, keptCandidate: false });
  });
});

describe("bias correction", () => {
  it("makes outputs right on average", async () => {
    const { matrix } = await layerUnderTest(5, 32);
    const inputs = gaussian(300 * 32, 5).map((value, i) => value + (i % 3));
    const means = Float32Array.from({ length: 32 }, (_, j) => {
      let sum = 0;
      for (let start = 0; start < inputs.length; start += 32) sum += inputs[start + j]!;
      return sum / 300;
    });
    const { values } = roundMatrix({
      matrix,
      grid: uniform({ bits: 2, symmetric: true }),
      rounding: nearest(),
    });
    const bias = gaussian(5, 6);
    const corrected = correctBias({ matrix, values, means, bias });
    for (let row = 0; row < 5; row++) {
      let [wanted, before, after] = [0, 0, 0];
      for (let start = 0; start < inputs.length; start += 32) {
        let [original, quantized] = [0, 0];
        for (let j = 0; j < 32; j++) {
          original += matrix.values[row * 32 + j]! * inputs[start + j]!;
          quantized += values[row * 32 + j]! * inputs[start + j]!;
        }
        wanted += (original + bias[row]!) / 300;
        before += (quantized + bias[row]!) / 300;
        after += (quantized + corrected[row]!) / 300;
      }
      expect(after).toBeCloseTo(wanted, 4);
      expect(Math.abs(before - wanted)).toBeGreaterThan(0.01);
    }
    expect(correctBias({ matrix, values: matrix.values, means })).toEqual(new Float32Array(5));
    expect(() => correctBias({ matrix, values, means: means.subarray(1) })).toThrow(
      expect.objectContaining({ code: "QUANTIZE_SHAPE" }),
    );
  });
});
