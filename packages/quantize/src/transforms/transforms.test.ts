import { describe, expect, it } from "vitest";
import { meanSquaredError } from "../calibrators/mean-squared-error.ts";
import { uniform } from "../grids/uniform.ts";
import type { Matrix } from "../matrix.ts";
import { outputError } from "../measure/output-error.ts";
import { nearest } from "../roundings/nearest.ts";
import { roundMatrix } from "../roundings/round-matrix.ts";
import { correlatedInputs, gaussian, gram } from "../testing/random.ts";
import { layerUnderTest } from "../testing/tasks.ts";
import { awq } from "./awq.ts";
import { chooseFactors } from "./choose-factors.ts";
import { smoothQuant } from "./smooth-quant.ts";
import { scaleColumns, scaleHessian } from "./transform.ts";

const columns = 96;
const tokens = 300;
const inputs = correlatedInputs(tokens, columns, 51);
const hessian = { matrix: gram(inputs, columns), tokens };
const byColumn = (reduce: (values: number[]) => number): Float32Array =>
  Float32Array.from({ length: columns }, (_, j) =>
    reduce(Array.from({ length: tokens }, (_, token) => Math.abs(inputs[token * columns + j]!))),
  );
const meanMagnitudes = byColumn((values) => values.reduce((a, b) => a + b, 0) / values.length);
const largestMagnitudes = byColumn((values) => Math.max(...values));
const layers = [
  { rows: 12, columns, values: gaussian(12 * columns, 52) },
  { rows: 5, columns, values: gaussian(5 * columns, 53) },
];
const grid = uniform({ bits: 3, symmetric: false, tile: { columns: 48 } });

describe("AWQ", () => {
  /** What outputs lose, as a share of them, mean over layers; from the inputs themselves. */
  const errorWith = (factors: Float32Array): number => {
    const shares = layers.map((layer) => {
      const { values } = roundMatrix({ matrix: scaleColumns(layer, factors), grid, rounding: nearest() });
      let [lost, all] = [0, 0];
      for (let token = 0; token < tokens; token++) {
        for (let row = 0; row < layer.rows; row++) {
          let [error, output] = [0, 0];
          for (let j = 0; j < columns; j++) {
            const i = row * columns + j;
            error += inputs[token * columns + j]! * (layer.values[i]! - values[i]! / factors[j]!);
            output += inputs[token * columns + j]! * layer.values[i]!;
          }
          lost += error ** 2;
          all += output ** 2;
        }
      }
      return lost / all;
    });
    return shares.reduce((a, b) => a + b, 0) / shares.length;
  };

  it.each([true, false])(
    "has the exponent with the least error of the outputs (weights weighed: %s)",
    async (weighWeights) => {
      const { math } = await layerUnderTest(1, 8);
      const transform = awq({ weighWeights });
      const found = chooseFactors({ transform, layers, grid, hessian, meanMagnitudes, math });
      const none = errorWith(new Float32Array(columns).fill(1));
      const best = errorWith(found.factors);
      expect(best).toBeLessThan(0.97 * none);
      expect(found.tried).toHaveLength(20);
      const least = Math.min(...found.tried.map(({ error }) => error));
      expect(found.tried.find(({ exponent }) => exponent === found.exponent)!.error).toBe(least);
      expect(best).toBeCloseTo(least, 5);
      // The factors by their formula.
      const means = Array.from({ length: columns }, (_, j) => {
        const shares = layers.flatMap(({ rows, values }) =>
          Array.from({ length: rows }, (_, row) => {
            const start = row * columns + (j < 48 ? 0 : 48);
            return (
              Math.abs(values[row * columns + j]!) /
              Math.max(...values.slice(start, start + 48).map(Math.abs))
            );
          }),
        );
        return shares.reduce((a, b) => a + b, 0) / shares.length;
      });
      const r = found.exponent;
      const raw = means.map((mean, j) =>
        Math.max(
          weighWeights ? meanMagnitudes[j]! ** r / (mean ** (1 - r) + 1e-4) : meanMagnitudes[j]! ** r,
          1e-4,
        ),
      );
      const middle = Math.sqrt(Math.min(...raw) * Math.max(...raw));
      found.factors.forEach((factor, j) => expect(factor / (raw[j]! / middle)).toBeCloseTo(1, 4));
    },
  );

  it("goes by what is around the layers where that is wanted and known", async () => {
    const { math } = await layerUnderTest(1, 8);
    const task = { layers, grid, hessian, meanMagnitudes, math };
    const seen: number[] = [];
    // Something that only the first row of the second layer counts for.
    const parentError = (changed: readonly Matrix[]): number => {
      const [own, other] = [layers[1]!, changed[1]!].map(({ values }) => values.subarray(0, columns));
      const error = own!.reduce(
        (sum, value, j) => sum + meanMagnitudes[j]! * Math.abs(value - other![j]!),
        0,
      );
      seen.push(error);
      return error;
    };
    const found = chooseFactors({ ...task, parentError, transform: awq({ loss: "parent" }) });
    expect(seen).toHaveLength(21);
    expect(found.tried.map(({ error }) => error)).toEqual(seen.slice(0, 20));
    // What is compared is what rounding with the factors gives.
    const { factors } = found;
    const again = layers.map((layer) => {
      const { values } = roundMatrix({ matrix: scaleColumns(layer, factors), grid, rounding: nearest() });
      return { ...layer, values: values.map((value, i) => value / factors[i % columns]!) };
    });
    expect(parentError(again)).toBeCloseTo(Math.min(...seen), 6);
    const itself = chooseFactors({ ...task, transform: awq() });
    expect(found.exponent).not.toBe(itself.exponent);
    expect(chooseFactors({ ...task, parentError, transform: awq() })).toEqual(itself);
    expect(chooseFactors({ ...task, transform: awq({ loss: "parent" }) })).toEqual(itself);
    expect(() => awq({ loss: "block" as never })).toThrow(
      expect.objectContaining({ code: "QUANTIZE_OPTION" }),
    );
  });

  it("takes layers with larger outputs for no more important", async () => {
    const { math } = await layerUnderTest(1, 8);
    const task = { transform: awq(), grid, hessian, meanMagnitudes, math };
    const larger = { ...layers[1]!, values: layers[1]!.values.map((value) => 64 * value) };
    const [one, other] = [layers, [layers[0]!, larger]].map((all) => chooseFactors({ ...task, layers: all }));
    expect(other!.exponent).toBe(one!.exponent);
    for (const [step, { error }] of one!.tried.entries()) {
      expect(other!.tried[step]!.error / error).toBeCloseTo(1, 4);
    }
  });

  it("samples rows of large layers, and stands inputs that were always 0", async () => {
    const { math } = await layerUnderTest(1, 8);
    const silent = meanMagnitudes.slice();
    silent[3] = 0;
    const found = chooseFactors({
      transform: awq({ rows: 4 }),
      layers,
      grid,
      hessian,
      meanMagnitudes: silent,
      math,
    });
    expect(found.factors.every((factor) => factor > 0 && Number.isFinite(factor))).toBe(true);
    const none = chooseFactors({
      transform: awq(),
      layers,
      grid,
      hessian: { matrix: new Float64Array(columns ** 2), tokens: 0 },
      meanMagnitudes: new Float32Array(columns),
      math,
    });
    expect(none.factors).toEqual(new Float32Array(columns).fill(1));
  });

  it("finds where to clip in the Hessian", async () => {
    const { math } = await layerUnderTest(1, 8);
    const clip = meanSquaredError({ steps: 20, mostShrink: 0.5, norm: 2 });
    for (const matrix of layers) {
      const error = (values: Float32Array): number =>
        outputError({ matrix, values, hessian: hessian.matrix, math }).relative;
      const plain = roundMatrix({ matrix, grid, rounding: nearest() });
      const clipped = { matrix, grid, rounding: nearest(), calibrator: clip, hessian, math };
      const { values } = roundMatrix({ ...clipped, searchInHessian: true });
      expect(error(values)).toBeLessThan(error(plain.values));
      // The blocks of H that belong to tiles are all that the search sees: within them, it never does worse.
      const tileError = (row: number, tile: number, of: Float32Array): number => {
        let sum = 0;
        for (let i = tile * 48; i < tile * 48 + 48; i++) {
          for (let j = tile * 48; j < tile * 48 + 48; j++) {
            const e = (k: number): number => matrix.values[row * columns + k]! - of[row * columns + k]!;
            sum += e(i) * hessian.matrix[i * columns + j]! * e(j);
          }
        }
        return sum;
      };
      for (let row = 0; row < matrix.rows; row++) {
        for (const tile of [0, 1]) {
          expect(tileError(row, tile, values)).toBeLessThanOrEqual(
            tileError(row, tile, plain.values) * (1 + 1e-9),
          );
        }
      }
    }
  });
});

describe("SmoothQuant", () => {
  it("has the factors of its formula", () => {
    const { factors, exponent } = chooseFactors({
      transform: smoothQuant({ alpha: 0.7 }),
      layers,
      largestMagnitudes,
    });
    expect(exponent).toBe(0.7);
    factors.forEach((factor, j) => {
      const weights = layers.flatMap(({ rows, values }) =>
        Array.from({ length: rows }, (_, row) => Math.abs(values[row * columns + j]!)),
      );
      expect(factor / (largestMagnitudes[j]! ** 0.7 / Math.max(...weights) ** 0.3)).toBeCloseTo(1, 5);
    });
  });

  it("takes the alpha with which 8-bit weights and inputs lose least", async () => {
    const { math } = await layerUnderTest(1, 8);
    const int8 = uniform({ bits: 8, symmetric: true, range: "restricted", scaleType: "F32" });
    const alpha = [0, 0.25, 0.5, 0.75, 1];
    const transform = smoothQuant({ alpha });
    const found = chooseFactors({ transform, layers, grid: int8, hessian, largestMagnitudes, math });
    const round = (value: number, step: number): number => Math.round(value / step) * step;
    const errorWith = (factors: Float32Array): number => {
      let step = 0;
      inputs.forEach((value, i) => (step = Math.max(step, Math.abs(value) / factors[i % columns]! / 127)));
      let sum = 0;
      for (const layer of layers) {
        const { values } = roundMatrix({
          matrix: scaleColumns(layer, factors),
          grid: int8,
          rounding: nearest(),
        });
        let [lost, all] = [0, 0];
        for (let token = 0; token < tokens; token++) {
          for (let row = 0; row < layer.rows; row++) {
            let [error, output] = [0, 0];
            for (let j = 0; j < columns; j++) {
              const x = inputs[token * columns + j]!;
              const i = row * columns + j;
              output += x * layer.values[i]!;
              error += x * layer.values[i]! - round(x / factors[j]!, step) * values[i]!;
            }
            lost += error ** 2;
            all += output ** 2;
          }
        }
        sum += lost / all;
      }
      return sum / layers.length;
    };
    const errors = alpha.map((value) =>
      errorWith(
        chooseFactors({ transform: smoothQuant({ alpha: value }), layers, largestMagnitudes }).factors,
      ),
    );
    expect(errors[alpha.indexOf(found.exponent)]).toBeLessThan(1.1 * Math.min(...errors));
    expect(errors[alpha.indexOf(found.exponent)]).toBeLessThan(0.5 * errors[0]!);
    // What is predicted is what happens, about.
    found.tried.forEach(({ error }, i) => expect(Math.abs(Math.log(error / errors[i]!))).toBeLessThan(0.35));
  });
});

describe("factors", () => {
  it("leave outputs as they are, and errors in the Hessian", async () => {
    const { math } = await layerUnderTest(1, 8);
    const { factors } = chooseFactors({ transform: smoothQuant(), layers, largestMagnitudes });
    const matrix = layers[0]!;
    const before = outputError({
      matrix,
      values: new Float32Array(12 * columns),
      hessian: hessian.matrix,
      math,
    });
    const after = outputError({
      matrix: scaleColumns(matrix, factors),
      values: new Float32Array(12 * columns),
      hessian: scaleHessian(hessian, factors).matrix,
      math,
    });
    expect(after.error / before.error).toBeCloseTo(1, 4);
  });

  it("are refused without what they need", async () => {
    const { math } = await layerUnderTest(1, 8);
    const missing = expect.objectContaining({ code: "QUANTIZE_INPUT_MISSING" }) as Error;
    expect(() => chooseFactors({ transform: awq(), layers, grid, hessian, math })).toThrow(missing);
    expect(() =>
      chooseFactors({ transform: smoothQuant({ alpha: [0.5, 0.6] }), layers, largestMagnitudes }),
    ).toThrow(missing);
    expect(() => chooseFactors({ transform: smoothQuant(), layers: [], largestMagnitudes })).toThrow(
      expect.objectContaining({ code: "QUANTIZE_SHAPE" }),
    );
    expect(() =>
      chooseFactors({ transform: smoothQuant(), layers, largestMagnitudes: largestMagnitudes.subarray(1) }),
    ).toThrow(expect.objectContaining({ code: "QUANTIZE_SHAPE" }));
    expect(() =>
      chooseFactors({
        transform: smoothQuant(),
        layers,
        largestMagnitudes: new Float32Array(columns).fill(Infinity),
      }),
    ).toThrow(expect.objectContaining({ code: "QUANTIZE_NOT_FINITE" }));
    expect(() => smoothQuant({ alpha: 1.1 })).toThrow(expect.objectContaining({ code: "QUANTIZE_OPTION" }));
    expect(() => awq({ steps: 0 })).toThrow(expect.objectContaining({ code: "QUANTIZE_OPTION" }));
  });
});
