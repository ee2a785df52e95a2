import { loadKernels } from "@quern/kernels";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { entropy } from "../calibrators/entropy.ts";
import { fp4, nf4 } from "../grids/bitsandbytes.ts";
import { e4m3, mxfp4, nvfp4 } from "../grids/float-grids.ts";
import { uniform } from "../grids/uniform.ts";
import { CALIBRATORS, findMember, GRIDS, ROUNDINGS, TRANSFORMS } from "../registry.ts";
import { gaussian } from "../testing/random.ts";
import { hqq } from "./hqq.ts";
import { nearest } from "./nearest.ts";
import { refuseCombination, roundMatrix } from "./round-matrix.ts";
import { stochastic } from "./stochastic.ts";

const matrix = { rows: 6, columns: 72, values: gaussian(432, 31) };

describe("rounding to nearest", () => {
  it("finds the nearest value of every tile, by trying all codes", () => {
    for (const grid of [
      uniform({ bits: 3, symmetric: false, tile: { columns: 16 } }),
      uniform({ bits: 2, symmetric: false, zero: "real", tile: { rows: 2, columns: 20 } }),
      nf4(),
      fp4({ block: 32 }),
      mxfp4(),
      nvfp4(),
      e4m3(),
    ]) {
      const { grid: fitted, values } = roundMatrix({ matrix, grid, rounding: nearest() });
      matrix.values.forEach((weight, i) => {
        const distances = Array.from({ length: 2 ** grid.bits }, (_, code) =>
          Math.abs(weight - fitted.decode(Math.floor(i / 72), i % 72, code)),
        ).filter((distance) => !Number.isNaN(distance));
        expect(Math.abs(weight - values[i]!)).toBeLessThanOrEqual(Math.min(...distances) + 1e-6);
      });
    }
  });
});

describe("block-wise absolute maximum", () => {
  it.each([8, 4, 3, 2])(
    "%i bits: max|w| of a block has the largest code, errors are at most half a step",
    (bits) => {
      const grid = uniform({
        bits,
        symmetric: true,
        range: "restricted",
        tile: { columns: 24 },
        scaleType: "F32",
      });
      const { codes, grid: fitted, values } = roundMatrix({ matrix, grid, rounding: nearest() });
      const { scales, zeros } = fitted.result(codes);
      const most = 2 ** (bits - 1) - 1;
      expect(zeros!.every((zero) => zero === most + 1)).toBe(true);
      for (let tile = 0; tile < 18; tile++) {
        const weights = matrix.values.slice(tile * 24, tile * 24 + 24);
        const largest = Math.max(...weights.map(Math.abs));
        expect(scales[tile]).toBe(Math.fround(largest / most));
        const signed = Array.from(codes.subarray(tile * 24, tile * 24 + 24), (code) => code - most - 1);
        expect(Math.max(...signed.map(Math.abs))).toBe(most);
        weights.forEach((weight, i) => {
          expect(Math.abs(weight - values[tile * 24 + i]!)).toBeLessThanOrEqual(0.5001 * scales[tile]!);
        });
      }
    },
  );
});

describe("stochastic rounding", () => {
  it("takes one of the two values next to a weight, and is right on average", () => {
    for (const grid of [uniform({ bits: 3, symmetric: false }), nf4(), nvfp4()]) {
      const draws = Array.from({ length: 400 }, (_, seed) =>
        roundMatrix({ matrix, grid, rounding: stochastic({ seed }) }),
      );
      const { grid: fitted } = draws[0]!;
      for (let i = 0; i < matrix.values.length; i += 7) {
        const [row, column] = [Math.floor(i / 72), i % 72];
        const weight = matrix.values[i]!;
        const near = fitted.encode(row, column, weight);
        const value = fitted.decode(row, column, near);
        const other = fitted.decode(row, column, fitted.neighbour(row, column, near, weight > value));
        const drawn = new Set(draws.map(({ values }) => values[i]! + 0));
        expect([value + 0, other + 0]).toEqual(expect.arrayContaining([...drawn]));
        const mean = draws.reduce((sum, { values }) => sum + values[i]!, 0) / draws.length;
        const step = Math.abs(other - value);
        // Beyond the last value there is no step, and every draw is that value.
        expect(Math.abs(mean - (step === 0 ? value : weight))).toBeLessThanOrEqual(0.13 * step);
      }
    }
  });

  it("is decided by its seed, and leaves values of the grid alone", () => {
    const grid = uniform({ bits: 4, symmetric: true });
    const first = roundMatrix({ matrix, grid, rounding: stochastic({ seed: 5 }) });
    expect(roundMatrix({ matrix, grid, rounding: stochastic({ seed: 5 }) }).codes).toEqual(first.codes);
    expect(roundMatrix({ matrix, grid, rounding: stochastic({ seed: 6 }) }).codes).not.toEqual(first.codes);
    const exact = Float32Array.from({ length: 16 }, (_, i) => i - 8);
    exact[15] = 7;
    const exactly = uniform({ bits: 4, symmetric: false });
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const task = { matrix: { rows: 1, columns: 16, values: exact }, grid: exactly };
        expect(roundMatrix({ ...task, rounding: stochastic({ seed }) }).values).toEqual(exact);
      }),
      { numRuns: 20 },
    );
  });
});

describe("HQQ", () => {
  it("has less error in its norm than rounding to nearest, with zeros and with offsets", () => {
    const heavy = matrix.values.map((value, i) => (i % 29 === 3 ? 4 * value : value));
    const task = { matrix: { ...matrix, values: heavy } };
    for (const zero of ["integer", "real"] as const) {
      const grid = uniform({ bits: 3, symmetric: false, zero, tile: { columns: 36 } });
      const norm = (values: Float32Array): number =>
        heavy.reduce((sum, value, i) => sum + Math.abs(value - values[i]!) ** 0.7, 0);
      const mean = (values: Float32Array): number =>
        heavy.reduce((sum, value, i) => sum + Math.abs(value - values[i]!), 0);
      const plain = roundMatrix({ ...task, grid, rounding: nearest() });
      const found = roundMatrix({ ...task, grid, rounding: hqq() });
      expect(mean(found.values)).toBeLessThanOrEqual(mean(plain.values));
      // Whole zeros may have no better neighbour.
      expect(norm(found.values)).toBeLessThan(norm(plain.values) * (zero === "real" ? 1 : 1.001));
      expect(found.grid.result(found.codes).scales).toEqual(plain.grid.result(plain.codes).scales);
    }
  });

  it("does what its update says, in the first step", () => {
    const values = Float32Array.of(0.1, 0.9, 2.2, 3, 1.4, 0.3, 2.7, 1.9);
    const grid = uniform({ bits: 2, symmetric: false, zero: "real", scaleType: "F32" });
    const { grid: fitted, codes } = roundMatrix({
      matrix: { rows: 1, columns: 8, values },
      grid,
      rounding: hqq({ iterations: 1 }),
    });
    // By the paper: S = 1 / scale, z = -offset / scale, both as they were fitted.
    const scale = Math.fround(Math.fround(3 - Math.fround(0.1)) / 3);
    const z = -Math.fround(0.1) / scale;
    const q = [...values].map((w) => Math.min(Math.max(Math.round(w / scale + z), 0), 3));
    const errors = [...values].map((w, i) => {
      const e = w - (q[i]! - z) * scale;
      return Math.sign(e) * Math.max(Math.abs(e) - Math.abs(e) ** -0.3 / 10, 0);
    });
    const next = q.reduce((sum, code, i) => sum + code - (values[i]! - errors[i]!) / scale, 0) / 8;
    const offset = fitted.result(codes).offsets![0]!;
    expect([Math.fround(0.1), -next * scale].some((wanted) => Math.abs(offset - wanted) < 1e-6)).toBe(true);
  });
});

describe("combinations", () => {
  const shape = { rows: 6, columns: 72 };

  it("without sense are refused with a reason", () => {
    const reason = refuseCombination({ grid: nf4(), rounding: hqq(), shape });
    expect(reason).toContain("HQQ moves the zero points of tiles, but those of nf4 are fixed");
    expect(() => roundMatrix({ matrix, grid: nf4(), rounding: hqq() })).toThrow(
      expect.objectContaining({ code: "QUANTIZE_COMBINATION", message: reason }),
    );
    const grid = uniform({ bits: 4, symmetric: true, tile: { columns: 36 } });
    expect(refuseCombination({ grid, rounding: nearest(), calibrator: entropy(), shape })).toContain(
      "needs 2048 values, but tiles of uniform have 36",
    );
    expect(refuseCombination({ grid, rounding: nearest(), shape })).toBeUndefined();
  });

  it("have members that are found by name", async () => {
    const kernels = await loadKernels();
    expect(findMember(ROUNDINGS, "gptq")).toBe(ROUNDINGS.gptq);
    expect(() => findMember(GRIDS, "int3")).toThrow(
      expect.objectContaining({
        code: "QUANTIZE_UNKNOWN",
        message: expect.stringContaining("uniform, nf4, fp4") as string,
      }),
    );
    expect(() => findMember(GRIDS, "toString")).toThrow(
      expect.objectContaining({ code: "QUANTIZE_UNKNOWN" }),
    );
    for (const [name, make] of Object.entries(ROUNDINGS)) expect(make().name).toBe(name);
    for (const [name, make] of Object.entries(CALIBRATORS)) expect(make().name).toBe(name);
    for (const [name, make] of Object.entries(TRANSFORMS)) expect(make().name).toBe(name);
    for (const [name, make] of Object.entries(GRIDS)) {
      const options = { bits: 4, symmetric: true, type: "Q4_K" } as const;
      expect(make(options, { kernels }).name).toBe(name);
    }
  });
});

describe("bad matrices", () => {
  it("are refused", () => {
    const grid = uniform({ bits: 4, symmetric: true });
    const values = gaussian(12, 1);
    values[7] = Number.NaN;
    for (const [bad, code] of [
      [{ rows: 3, columns: 4, values }, "QUANTIZE_NOT_FINITE"],
      [{ rows: 3, columns: 5, values: gaussian(12, 1) }, "QUANTIZE_SHAPE"],
      [{ rows: 0, columns: 4, values: new Float32Array(0) }, "QUANTIZE_SHAPE"],
    ] as const) {
      expect(() => roundMatrix({ matrix: bad, grid, rounding: nearest() })).toThrow(
        expect.objectContaining({ code }),
      );
    }
    const importance = Float32Array.of(1, -1, 1, 1);
    expect(() =>
      roundMatrix({
        matrix: { rows: 3, columns: 4, values: gaussian(12, 1) },
        grid,
        rounding: nearest(),
        importance,
      }),
    ).toThrow(expect.objectContaining({ code: "QUANTIZE_NOT_FINITE" }));
    expect(() => roundMatrix({ matrix, grid, rounding: nearest(), importance })).toThrow(
      expect.objectContaining({ code: "QUANTIZE_SHAPE" }),
    );
    expect(() => uniform({ bits: 4, symmetric: true, tile: { columns: 0 } }).open(matrix)).toThrow(
      expect.objectContaining({ code: "QUANTIZE_OPTION" }),
    );
  });
});
