import { describe, expect, it } from "vitest";
import { uniform } from "../grids/uniform.ts";
import { gptq } from "../roundings/gptq.ts";
import { roundMatrix } from "../roundings/round-matrix.ts";
import { correlatedInputs, gaussian, gram } from "../testing/random.ts";
import { layerUnderTest } from "../testing/tasks.ts";
import { diagonalOf } from "./column-importance.ts";
import { damped, dampedHessian, dampingFor } from "./damping.ts";
import { errorFeedback } from "./feedback.ts";
import { shiftTarget } from "./shift-target.ts";

/** Inputs of the original model, and those behind layers that are quantized already. */
function twoInputs(tokens: number, columns: number) {
  const original = correlatedInputs(tokens, columns, 41);
  const noise = gaussian(tokens * columns, 42);
  const quantized = original.map((value, i) => 0.93 * value + 0.05 * noise[i]!);
  const cross = new Float64Array(columns * columns);
  for (let start = 0; start < original.length; start += columns) {
    for (let i = 0; i < columns; i++) {
      const difference = original[start + i]! - quantized[start + i]!;
      for (let j = 0; j < columns; j++) cross[i * columns + j]! += difference * quantized[start + j]!;
    }
  }
  return { original, quantized, cross };
}

/** |X_q V^T - X_f W^T|^2 */
function mismatch(
  { original, quantized }: { readonly original: Float32Array; readonly quantized: Float32Array },
  weights: Float32Array,
  values: Float32Array,
  columns: number,
): number {
  let sum = 0;
  for (let start = 0; start < original.length; start += columns) {
    for (let row = 0; row < weights.length; row += columns) {
      let difference = 0;
      for (let i = 0; i < columns; i++) {
        difference += quantized[start + i]! * values[row + i]! - original[start + i]! * weights[row + i]!;
      }
      sum += difference ** 2;
    }
  }
  return sum;
}

describe("shiftTarget", () => {
  it("finds the weights that make the same outputs of the other inputs, as least squares does", async () => {
    const [rows, columns, tokens] = [3, 24, 200];
    const { math } = await layerUnderTest(1, 8);
    const inputs = twoInputs(tokens, columns);
    const hessian = { matrix: gram(inputs.quantized, columns), tokens };
    const matrix = { rows, columns, values: gaussian(rows * columns, 43) };
    const order = Int32Array.from({ length: columns }, (_, place) => (7 * place) % columns);
    const { solver } = errorFeedback({ hessian, cross: inputs.cross, order, damping: 0, math });
    const shifted = shiftTarget({ matrix, solver: solver!, share: 1, math });
    const least = mismatch(inputs, matrix.values, shifted.values, columns);
    expect(least).toBeLessThan(0.5 * mismatch(inputs, matrix.values, matrix.values, columns));
    for (let i = 0; i < rows * columns; i++) {
      for (const step of [-0.003, 0.003]) {
        const moved = shifted.values.slice();
        moved[i]! += step;
        expect(mismatch(inputs, matrix.values, moved, columns)).toBeGreaterThan(least);
      }
    }
  });

  it("makes GPTQ better at the outputs of the original model", async () => {
    const [rows, columns, tokens] = [8, 48, 400];
    const { math } = await layerUnderTest(1, 8);
    const inputs = twoInputs(tokens, columns);
    const hessian = { matrix: gram(inputs.quantized, columns), tokens };
    const matrix = { rows, columns, values: gaussian(rows * columns, 44) };
    const task = { matrix, grid: uniform({ bits: 4, symmetric: true }), hessian, cross: inputs.cross, math };
    const error = (shift: number): number =>
      mismatch(inputs, matrix.values, roundMatrix({ ...task, rounding: gptq({ shift }) }).values, columns);
    expect(error(1)).toBeLessThan(0.8 * error(0));
    expect(error(0.5)).toBeLessThan(error(0));
  });

  it("gives rows of a matrix the same codes when the solver is shared", async () => {
    const [rows, columns, tokens] = [6, 32, 300];
    const { math } = await layerUnderTest(1, 8);
    const inputs = twoInputs(tokens, columns);
    const hessian = { matrix: gram(inputs.quantized, columns), tokens };
    const values = gaussian(rows * columns, 45);
    const grid = uniform({ bits: 4, symmetric: true });
    const rounding = gptq({ shift: 0.5, order: "descending", passes: 1 });
    const task = { grid, rounding, hessian, cross: inputs.cross, math };
    const whole = roundMatrix({ ...task, matrix: { rows, columns, values } }).codes;
    const taken: SharedArrayBuffer[] = [];
    const allocate = (size: number): SharedArrayBuffer => {
      // What is in it does not matter.
      const buffer = new SharedArrayBuffer(size);
      new Uint8Array(buffer).fill(0xa5);
      taken.push(buffer);
      return buffer;
    };
    const shape = { rows, columns };
    const feedback = rounding.prepare!({ hessian, cross: inputs.cross, grid, shape, allocate, math });
    const { order, factors, solver } = feedback;
    for (const { buffer } of [order, factors, feedback.hessian!, solver!.cross, solver!.factor]) {
      expect(taken).toContain(buffer);
    }
    for (const start of [0, 2, 5]) {
      const end = Math.min(start + 3, rows);
      const matrix = { rows: end - start, columns, values: values.slice(start * columns, end * columns) };
      expect(roundMatrix({ ...task, matrix, feedback }).codes).toEqual(
        whole.subarray(start * columns, end * columns),
      );
    }
  });

  it("asks for feedback that knows of it", async () => {
    const { math } = await layerUnderTest(1, 8);
    const hessian = { matrix: Float64Array.of(2, 0, 0, 2), tokens: 2 };
    const grid = uniform({ bits: 4, symmetric: true });
    const matrix = { rows: 1, columns: 2, values: Float32Array.of(1, 2) };
    const feedback = errorFeedback({ hessian, order: Int32Array.of(0, 1), damping: 0, math });
    const task = { matrix, grid, hessian, cross: new Float64Array(4), feedback, math };
    expect(() => roundMatrix({ ...task, rounding: gptq({ shift: 1 }) })).toThrow(
      expect.objectContaining({ code: "QUANTIZE_INPUT_MISSING" }),
    );
  });
});

describe("damping", () => {
  it("falls with the tokens per column, from 0.1 to 0.01", () => {
    expect([0, 10, 64, 128, 256, 1e6].map((tokens) => Number(dampingFor(tokens, 64).toFixed(4)))).toEqual([
      0.1, 0.1, 0.1, 0.0316, 0.01, 0.01,
    ]);
  });

  it("adds a share of the mean of the diagonal, and cuts dead columns off", () => {
    const hessian = { matrix: Float64Array.of(4, 1, 9, 1, 2, 9, 9, 9, 0), tokens: 5 };
    const matrix = dampedHessian(hessian, 3, 0.1);
    const { deadColumns } = damped(diagonalOf(hessian.matrix, 3), 0.1);
    expect([...matrix].map((value) => Number(value.toFixed(9)))).toEqual([4.3, 1, 0, 1, 2.3, 0, 0, 0, 3]);
    expect(deadColumns).toEqual([2]);
    expect(hessian.matrix[8]).toBe(0);
  });
});
