import { loadKernels } from "@quern/kernels";
import { describe, expect, it } from "vitest";
import { nf4 } from "../grids/bitsandbytes.ts";
import { mxfp4, nvfp4 } from "../grids/float-grids.ts";
import { ggml } from "../grids/ggml/ggml.ts";
import type { FitParams, Grid, TiledGrid } from "../grids/grid.ts";
import { uniform } from "../grids/uniform.ts";
import { dampedHessian } from "../hessian/damping.ts";
import { outputError } from "../measure/output-error.ts";
import { dequantizeMatrix } from "../quantized-matrix.ts";
import { coordinateDescent } from "../roundings/coordinate-descent.ts";
import { gptq } from "../roundings/gptq.ts";
import { nearest } from "../roundings/nearest.ts";
import { roundMatrix } from "../roundings/round-matrix.ts";
import { layerUnderTest } from "../testing/tasks.ts";
import { refine } from "./refine.ts";

const GRIDS: Readonly<Record<string, Grid<TiledGrid>>> = {
  "3 bits symmetric": uniform({ bits: 3, symmetric: true, tile: { columns: 32 } }),
  "3 bits with zeros": uniform({ bits: 3, symmetric: false, tile: { columns: 40 } }),
  "2 bits with offsets": uniform({ bits: 2, symmetric: false, zero: "real", tile: { columns: 32 } }),
  "4 bits by tensor": uniform({ bits: 4, symmetric: true, tile: "tensor" }),
  NF4: nf4(),
  "NF4 with double quantization": nf4({ doubleQuantization: true }),
  NVFP4: nvfp4(),
  MXFP4: mxfp4(),
};

/** tr(D H D^T) in F64. */
function cost(weights: Float32Array, values: Float32Array, hessian: Float64Array, n: number): number {
  let sum = 0;
  for (let start = 0; start < weights.length; start += n) {
    const errors = Array.from({ length: n }, (_, j) => weights[start + j]! - values[start + j]!);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) sum += errors[i]! * hessian[i * n + j]! * errors[j]!;
    }
  }
  return sum;
}

describe.each(Object.entries(GRIDS))("refining on %s", (name, grid) => {
  it("never makes the error larger, step by step", async () => {
    const [rows, columns] = [10, 160];
    const { matrix, hessian, math } = await layerUnderTest(rows, columns, { seed: 21 });
    const damped = dampedHessian(hessian, columns, 0.02);
    const task = { matrix, grid, hessian, math };
    for (const rounding of [nearest(), gptq({ damping: 0.02 })]) {
      const rounded = roundMatrix({ ...task, rounding });
      let last = cost(matrix.values, rounded.values, damped, columns);
      const first = last;
      for (const step of [
        { passes: 1, refitScales: false },
        { passes: 0, refitScales: true },
        { passes: 2, refitScales: true },
        { passes: 1, refitScales: false, searchScales: true },
      ]) {
        refine({ matrix, rounded, hessian, damping: 0.02, math, ...step });
        const next = cost(matrix.values, rounded.values, damped, columns);
        expect(next).toBeLessThanOrEqual(last * (1 + 1e-5));
        last = next;
        expect(dequantizeMatrix(rounded.grid.result(rounded.codes))).toEqual(rounded.values);
      }
      expect(last).toBeLessThan(0.99 * first);
    }
  });

  it("ends where no single code can be changed for the better", async () => {
    const [rows, columns] = [3, 96];
    const { matrix, hessian, math } = await layerUnderTest(rows, columns, { seed: 22 });
    const damped = dampedHessian(hessian, columns, 0.05);
    const rounding = coordinateDescent({ passes: 60, damping: 0.05 });
    const { codes, values, grid: fitted } = roundMatrix({ matrix, grid, rounding, hessian, math });
    const least = cost(matrix.values, values, damped, columns);
    for (let i = 0; i < codes.length; i += 5) {
      const [row, column] = [Math.floor(i / columns), i % columns];
      for (const up of [true, false]) {
        const changed = values.slice();
        changed[i] = fitted.decode(row, column, fitted.neighbour(row, column, codes[i]!, up));
        expect(cost(matrix.values, changed, damped, columns), name).toBeGreaterThan(least * (1 - 1e-5));
      }
    }
  });
});

it("refits a scale to what least squares gives", async () => {
  const [rows, columns] = [2, 32];
  const { matrix, hessian, math } = await layerUnderTest(rows, columns, { seed: 23 });
  const grid = uniform({ bits: 4, symmetric: true, scaleType: "F32" });
  const rounded = roundMatrix({ matrix, grid, rounding: nearest() });
  refine({ matrix, rounded, hessian, damping: 0, passes: 0, refitScales: true, math });
  const { scales } = rounded.grid.result(rounded.codes);
  for (let row = 0; row < rows; row++) {
    let [top, bottom] = [0, 0];
    for (let i = 0; i < columns; i++) {
      for (let j = 0; j < columns; j++) {
        const h = hessian.matrix[i * columns + j]!;
        const code = rounded.codes[row * columns + i]! - 8;
        top += code * h * matrix.values[row * columns + j]!;
        bottom += code * h * (rounded.codes[row * columns + j]! - 8);
      }
    }
    expect(scales[row]).toBeCloseTo(top / bottom, 5);
  }
});

describe("searching scales and codes together", () => {
  it("finds what refitting them in turns does not", async () => {
    const [rows, columns] = [8, 128];
    const { matrix, hessian, math } = await layerUnderTest(rows, columns, { seed: 24 });
    const damped = dampedHessian(hessian, columns, 0.02);
    for (const [bits, share] of [
      [2, 0.97],
      [3, 0.98],
    ] as const) {
      const grid = uniform({ bits, symmetric: false, zero: "real", tile: { columns: 16 } });
      const errorOf = (searchScales: boolean): number => {
        const rounding = gptq({ damping: 0.02, passes: 4, refitScales: true, searchScales });
        const { values } = roundMatrix({ matrix, grid, rounding, hessian, math });
        return cost(matrix.values, values, damped, columns);
      };
      expect(errorOf(true)).toBeLessThan(share * errorOf(false));
    }
  });

  it("leaves wide tiles, and tiles of several rows, alone", async () => {
    const { matrix, hessian, math } = await layerUnderTest(4, 288, { seed: 25, tokens: 96 });
    for (const grid of [
      uniform({ bits: 3, symmetric: true }),
      uniform({ bits: 3, symmetric: true, tile: { columns: 32, rows: 2 } }),
    ]) {
      const [searched, plain] = [true, false].map((searchScales) => {
        const rounding = gptq({ damping: 0.02, passes: 1, searchScales });
        return roundMatrix({ matrix, grid, rounding, hessian, math }).codes;
      });
      expect(searched).toEqual(plain);
    }
  });
});

describe("scales that are powers of two", () => {
  it.each(["MXFP4 of ggml", "MXFP4"])("are searched both ways: %s", async (name) => {
    const kernels = await loadKernels();
    const grid: Grid = name === "MXFP4" ? mxfp4() : ggml({ type: "MXFP4" }, { kernels });
    const { matrix, hessian, math } = await layerUnderTest(8, 64, { seed: 9 });
    matrix.values.fill(0, 0, 32);
    /** With all scales so many times as large as they should be. */
    const scaled = (times: number): Grid => ({
      ...grid,
      open(of) {
        const fitted = grid.open(of);
        const fit = (params: FitParams): void => {
          fitted.fit(params);
          const parameters = new Float64Array(1);
          for (let row = 0; row < of.rows; row++) {
            for (let column = 0; column < of.columns; column += 32) {
              fitted.readParameters(row, column, parameters);
              fitted.writeParameters(row, column, Float64Array.of(times * parameters[0]!));
            }
          }
        };
        return new Proxy(fitted, {
          get(target, key) {
            if (key === "fit") return fit;
            const member: unknown = Reflect.get(target, key, target);
            return typeof member === "function" ? (member.bind(target) as unknown) : member;
          },
        });
      },
    });
    const error = (times: number, searchScales: boolean): number => {
      const rounding = gptq({ passes: 2, searchScales });
      const { values } = roundMatrix({ matrix, grid: scaled(times), rounding, hessian, math });
      return outputError({ matrix, values, hessian: hessian.matrix, math }).relative;
    };
    const wanted = error(1, true);
    for (const times of [1 / 4, 4]) {
      expect(error(times, false)).toBeGreaterThan(2 * wanted);
      expect(error(times, true)).toBeLessThan(2 * wanted);
    }
  });

  it("have no 0", () => {
    const fitted = mxfp4().open({ rows: 1, columns: 32, values: new Float32Array(32).fill(1) });
    fitted.fit({ values: new Float32Array(32).fill(1) });
    const found = new Float64Array(1);
    for (const scale of [0, -1, 2 ** -140]) {
      fitted.writeParameters(0, 0, Float64Array.of(scale));
      fitted.readParameters(0, 0, found);
      expect(found[0]).toBe(Math.fround(2 ** -127));
    }
  });
});
