import { SMALL_FLOATS } from "@quern/tensor";
import { describe, expect, it } from "vitest";
import { dequantizeMatrix } from "../quantized-matrix.ts";
import { nearest } from "../roundings/nearest.ts";
import { roundMatrix } from "../roundings/round-matrix.ts";
import { gaussian } from "../testing/random.ts";
import { e4m3, mxfp4, nvfp4 } from "./float-grids.ts";

const E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6];
/** E2M1 by thresholds, ties to the even index (compressed-tensors). */
function e2m1(x: number): number {
  const a = Math.abs(x);
  const index = [a > 0.25, a >= 0.75, a > 1.25, a >= 1.75, a > 2.5, a >= 3.5, a > 5].filter(Boolean).length;
  return Math.sign(x) * E2M1[index]!;
}

describe("NVFP4", () => {
  const matrix = { rows: 3, columns: 40, values: gaussian(120, 1).map((value) => value * 0.03) };

  it("has E4M3 scales under one number of the tensor", () => {
    const { codes, grid, values } = roundMatrix({ matrix, grid: nvfp4(), rounding: nearest() });
    const { scaleParts, scales, tile } = grid.result(codes);
    if (scaleParts?.kind !== "global") throw new Error("no number of the tensor");
    const most = Math.max(...matrix.values.map(Math.abs));
    expect(scaleParts.global).toBe(Math.fround(2688 / most));
    expect(tile).toEqual({ rows: 1, columns: 16 });
    for (let row = 0; row < 3; row++) {
      for (let t = 0; t < 3; t++) {
        const group = matrix.values.slice(row * 40 + t * 16, row * 40 + Math.min(t * 16 + 16, 40));
        const amax = Math.max(...group.map(Math.abs));
        const stored = SMALL_FLOATS.F8_E4M3.decode(scaleParts.codes[row * 3 + t]!);
        const wanted = SMALL_FLOATS.F8_E4M3;
        expect(stored).toBe(
          wanted.decode(wanted.encode(Math.fround(scaleParts.global * Math.fround(amax / 6)), true)),
        );
        const scale = Math.fround(stored / scaleParts.global);
        expect(scales[row * 3 + t]).toBe(scale);
        group.forEach((value, i) => {
          expect(values[row * 40 + t * 16 + i]).toBe(Math.fround(e2m1(Math.fround(value / scale)) * scale));
        });
      }
    }
    expect(dequantizeMatrix(grid.result(codes))).toEqual(values);
  });

  it("takes a number that several tensors share", () => {
    const { codes, grid } = roundMatrix({ matrix, grid: nvfp4({ largest: 1 }), rounding: nearest() });
    expect(grid.result(codes).scaleParts).toMatchObject({ kind: "global", global: 2688 });
  });

  it("stores zeros with the scale 0.125", () => {
    const zeros = { rows: 1, columns: 16, values: new Float32Array(16) };
    const { codes, grid } = roundMatrix({ matrix: zeros, grid: nvfp4(), rounding: nearest() });
    expect(grid.result(codes)).toMatchObject({ scales: Float32Array.of(0.125), codes: new Uint8Array(16) });
  });

  it("has codes of sign and index", () => {
    const values = new Float32Array(16);
    values.set([0.5, -6, 6, -0.5, 3]);
    const grid = nvfp4({ largest: 2688 });
    const { codes } = roundMatrix({ matrix: { rows: 1, columns: 16, values }, grid, rounding: nearest() });
    expect([...codes.subarray(0, 5)]).toEqual([1, 15, 7, 9, 5]);
  });
});

describe("MXFP4", () => {
  it.each([
    [6, 129 - 2],
    [1, 127 - 2],
    [1.7499, 127 - 2],
    [1.75, 128 - 2],
    [1.9, 128 - 2],
    [2 ** -126, 0],
    [2 ** 100, 225],
  ])("largest magnitude %d: exponent %i", (most, code) => {
    const values = new Float32Array(32);
    values[7] = -most;
    const { codes, grid } = roundMatrix({
      matrix: { rows: 1, columns: 32, values },
      grid: mxfp4(),
      rounding: nearest(),
    });
    expect(grid.result(codes)).toMatchObject({
      scaleParts: { kind: "exponent", codes: Uint8Array.of(code) },
      scales: Float32Array.of(2 ** (code - 127)),
    });
  });

  it("rounds to E2M1", () => {
    const matrix = { rows: 2, columns: 64, values: gaussian(128, 2) };
    const { codes, grid, values } = roundMatrix({ matrix, grid: mxfp4(), rounding: nearest() });
    const { scales } = grid.result(codes);
    values.forEach((value, i) => {
      const scale = scales[Math.floor(i / 32)]!;
      expect(value + 0).toBe(e2m1(matrix.values[i]! / scale) * scale + 0);
    });
  });
});

describe("E4M3", () => {
  it("has bits for codes, and saturates", () => {
    const matrix = { rows: 2, columns: 70, values: gaussian(140, 3) };
    for (const tile of ["tensor", "channel", { rows: 2, columns: 64 }] as const) {
      const { codes, grid, values } = roundMatrix({ matrix, grid: e4m3({ tile }), rounding: nearest() });
      const result = grid.result(codes);
      expect(result.scales).toHaveLength(tile === "tensor" ? 1 : 2);
      const most = Math.max(...matrix.values.map(Math.abs));
      expect(Math.max(...result.scales)).toBe(Math.fround(most / 448));
      expect(codes.includes(0x7e) || codes.includes(0xfe)).toBe(true);
      expect(codes.includes(0x7f) || codes.includes(0xff)).toBe(false);
      codes.forEach((code, i) => {
        const scale =
          result.scales[
            grid.unit.rows === 1 ? Math.floor(i / 70) : tile === "tensor" ? 0 : i % 70 < 64 ? 0 : 1
          ]!;
        expect(SMALL_FLOATS.F8_E4M3.encode(Math.fround(matrix.values[i]! / scale), true)).toBe(code);
      });
      expect(dequantizeMatrix(result)).toEqual(values);
    }
  });
});
