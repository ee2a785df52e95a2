import { loadKernels, type Kernels } from "@quern/kernels";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { outputErrorOn } from "../../measure/output-error.ts";
import { gptq } from "../../roundings/gptq.ts";
import { nearest } from "../../roundings/nearest.ts";
import { refuseCombination, roundMatrix } from "../../roundings/round-matrix.ts";
import { meanSquaredError } from "../../calibrators/mean-squared-error.ts";
import { gaussian } from "../../testing/random.ts";
import { layerUnderTest, type LayerUnderTest } from "../../testing/tasks.ts";
import { membersOf } from "../../treatment.ts";
import type { Grid } from "../grid.ts";
import { decodeMatrix } from "../matrix-codes.ts";
import type { BlockGrid } from "./fitted-blocks.ts";
import { ggml } from "./ggml.ts";
import { BLOCK_LAYOUTS } from "./layouts.ts";

let kernels: Kernels;
let layer: LayerUnderTest;
beforeAll(async () => {
  kernels = await loadKernels();
  layer = await layerUnderTest(5, 512, { seed: 31 });
});

const TYPES = Object.keys(BLOCK_LAYOUTS);
const gridOf = (type: string): Grid<BlockGrid> => ggml({ type }, { kernels });

function dequantized(type: string, blocks: Uint8Array, rows: number, columns: number): Float32Array {
  const target = new Float32Array(rows * columns);
  kernels.dequantize({ type, source: blocks, target, rows, columns });
  return target;
}

/** Bits of F32, which tell -0 from 0. */
const bitsOf = (values: Float32Array): Uint32Array => new Uint32Array(values.slice().buffer);

describe.each(TYPES)("blocks of %s", (type) => {
  it("mean what ggml dequantizes, whatever bytes they have", () => {
    const { columns, bytes, d, minimum } = BLOCK_LAYOUTS[type]!;
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 3 * bytes, maxLength: 3 * bytes }),
        fc.constantFrom(undefined, 0, 255),
        (block, filling) => {
          if (filling !== undefined) block.fill(filling, bytes, 2 * bytes);
          // No infinite scales: neither F16's nor E8M0's.
          for (const { format, at } of [d, ...(minimum ? [minimum.d] : [])]) {
            const last = at + format.bytes - 1;
            for (let i = last; i < block.length; i += bytes) block[i]! &= 0xbf;
          }
          const shape = { rows: 1, columns: 3 * columns };
          const grid = gridOf(type).open({ ...shape, values: new Float32Array(3 * columns) });
          const codes = grid.read(block);
          const values = decodeMatrix({ grid, shape, codes, math: undefined });
          expect(bitsOf(values)).toEqual(bitsOf(dequantized(type, block, 1, 3 * columns)));
          const written = grid.blocks(codes);
          expect(bitsOf(dequantized(type, written, 1, 3 * columns))).toEqual(bitsOf(values));
        },
      ),
      { numRuns: 60 },
    );
  });

  it("have codes whose values are ordered, and the nearest one", () => {
    const columns = 2 * BLOCK_LAYOUTS[type]!.columns;
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1e6 }),
        fc.double({ min: -3, max: 3, noNaN: true }),
        (seed, value) => {
          const matrix = { rows: 2, columns, values: gaussian(2 * columns, seed) };
          const grid = gridOf(type).open(matrix);
          grid.fit({ values: matrix.values });
          const [row, column] = [seed % 2, seed % columns];
          const code = grid.encode(row, column, value);
          const distance = (other: number): number => Math.abs(grid.decode(row, column, other) - value);
          const up = grid.neighbour(row, column, code, true);
          const down = grid.neighbour(row, column, code, false);
          expect(grid.decode(row, column, up)).toBeGreaterThanOrEqual(grid.decode(row, column, code));
          expect(grid.decode(row, column, down)).toBeLessThanOrEqual(grid.decode(row, column, code));
          for (const other of [up, down]) expect(distance(code)).toBeLessThanOrEqual(distance(other) + 1e-6);
        },
      ),
    );
  });

  it("rounded to nearest are those of ggml, but for codes that it does not round to nearest", () => {
    const [rows, columns] = [70, 512];
    const matrix = { rows, columns, values: gaussian(rows * columns, 5) };
    const importance = gaussian(columns, 6).map((value) => value * value + 0.01);
    const found = roundMatrix({ matrix, grid: gridOf(type), rounding: nearest(), importance });
    const blocks = found.grid.blocks(found.codes);
    expect(bitsOf(dequantized(type, blocks, rows, columns))).toEqual(bitsOf(found.values));
    const wanted = new Uint8Array(blocks.length);
    const source = new Uint8Array(matrix.values.buffer);
    kernels.quantize({ type, sourceType: "F32", source, target: wanted, rows, columns, importance });
    const theirs = gridOf(type).open(matrix).read(wanted);
    const different = found.codes.filter((code, i) => code !== theirs[i]).length;
    expect(different / theirs.length).toBeLessThan(0.03);
    const error = (values: Float32Array): number =>
      values.reduce((sum, value, i) => sum + (value - matrix.values[i]!) ** 2, 0);
    expect(error(found.values)).toBeLessThanOrEqual(
      error(dequantized(type, wanted, rows, columns)) * 1.000001,
    );
  });

  it("can be filled by compensation and refined, and still are what the file says", () => {
    const { matrix, hessian, heldOut, math } = layer;
    const { rows, columns } = matrix;
    const task = { matrix, grid: gridOf(type), hessian, math };
    const errorOf = (values: Float32Array): number =>
      outputErrorOn({ matrix, values, inputs: heldOut, math }).relative;
    const plain = errorOf(roundMatrix({ ...task, rounding: nearest() }).values);
    for (const tiles of ["static", "dynamic"] as const) {
      const rounding = gptq({
        tiles,
        order: "descending-tiles",
        passes: 1,
        refitScales: true,
        searchScales: true,
      });
      const { grid, codes, values } = roundMatrix({ ...task, rounding });
      const blocks = grid.blocks(codes);
      expect(bitsOf(dequantized(type, blocks, rows, columns))).toEqual(bitsOf(values));
      expect(gridOf(type).open(matrix).read(blocks)).toEqual(codes);
      expect(errorOf(values)).toBeLessThan(0.8 * plain);
    }
  });
});

describe("fitting", () => {
  it.each(["Q4_K", "NVFP4"])("of some columns of %s leaves the others alone", (type) => {
    const [rows, columns] = [3, 768];
    const matrix = { rows, columns, values: gaussian(rows * columns, 9) };
    const grid = gridOf(type).open(matrix);
    grid.fit({ values: matrix.values, from: 256, to: 512 });
    const whole = gridOf(type).open(matrix);
    whole.fit({ values: matrix.values });
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column += 7) {
        const fitted = column >= 256 && column < 512;
        const last = 2 ** gridOf(type).bits - 2;
        expect(grid.decode(row, column, last)).toBe(fitted ? whole.decode(row, column, last) : 0);
      }
    }
  });

  it("says what is wrong with weights", () => {
    const values = gaussian(512, 10);
    values[300] = 1e30;
    const fit = (matrix: { rows: number; columns: number; values: Float32Array }): void =>
      gridOf("Q4_K").open(matrix).fit({ values: matrix.values });
    expect(() => fit({ rows: 2, columns: 256, values })).toThrow(
      expect.objectContaining({
        code: "QUANTIZE_SCALE_TOO_LARGE",
        message: expect.stringContaining("row 1, column 0"),
      }),
    );
  });
});

describe("a grid", () => {
  it("is made from plain data", () => {
    const { grid } = membersOf(
      { grid: { name: "ggml", options: { type: "Q4_K" } }, rounding: { name: "gptq" } },
      { kernels },
    );
    expect(grid.name).toBe("ggml");
    expect(grid.unitOf({ rows: 1, columns: 512 })).toEqual({ rows: 1, columns: 256 });
    expect(grid.bits).toBe(4);
  });

  it("is refused with the reason", () => {
    expect(() => gridOf("IQ2_S")).toThrow(
      expect.objectContaining({ code: "QUANTIZE_UNKNOWN", message: expect.stringContaining("IQ2_S") }),
    );
    expect(() => gridOf("Q4_K").unitOf({ rows: 2, columns: 320 })).toThrow(
      expect.objectContaining({ code: "QUANTIZE_SHAPE", message: expect.stringContaining("320") }),
    );
    const shape = { rows: 2, columns: 256 };
    expect(
      refuseCombination({ grid: gridOf("Q4_K"), rounding: nearest(), calibrator: meanSquaredError(), shape }),
    ).toContain("searches its scales itself");
  });
});
