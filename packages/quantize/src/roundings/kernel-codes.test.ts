import { loadKernels, type Kernels } from "@quern/kernels";
import { beforeAll, describe, expect, it } from "vitest";
import { meanSquaredError } from "../calibrators/mean-squared-error.ts";
import { percentile } from "../calibrators/percentile.ts";
import { fp4, nf4 } from "../grids/bitsandbytes.ts";
import { e4m3, mxfp4, nvfp4 } from "../grids/float-grids.ts";
import { ggml } from "../grids/ggml/ggml.ts";
import { BLOCK_LAYOUTS } from "../grids/ggml/layouts.ts";
import type { FittedGrid, Grid, TiledGrid } from "../grids/grid.ts";
import { uniform } from "../grids/uniform.ts";
import { columnImportance, diagonalOf } from "../hessian/column-importance.ts";
import { columnOrder } from "../hessian/column-order.ts";
import { errorFeedback } from "../hessian/feedback.ts";
import { oneByOne } from "../testing/one-by-one.ts";
import { type LayerUnderTest, layerUnderTest } from "../testing/tasks.ts";
import { coordinateDescent } from "./coordinate-descent.ts";
import { gptq } from "./gptq.ts";
import { hqq } from "./hqq.ts";
import { nearest } from "./nearest.ts";
import { roundMatrix, type RoundMatrixParams } from "./round-matrix.ts";

const GRIDS: Readonly<Record<string, Grid<TiledGrid>>> = {
  "4 bits symmetric by 16": uniform({ bits: 4, symmetric: true, tile: { columns: 16 } }),
  "3 bits restricted by 40": uniform({
    bits: 3,
    symmetric: true,
    range: "restricted",
    tile: { columns: 40 },
    scaleType: "BF16",
  }),
  "4 bits unsigned by channel": uniform({ bits: 4, symmetric: true, unsigned: true }),
  "3 bits asymmetric by channel": uniform({ bits: 3, symmetric: false }),
  "4 bits asymmetric by 64": uniform({ bits: 4, symmetric: false, tile: { columns: 64 } }),
  "2 bits with offsets by 24": uniform({ bits: 2, symmetric: false, zero: "real", tile: { columns: 24 } }),
  "8 bits by tensor": uniform({ bits: 8, symmetric: true, tile: "tensor", scaleType: "F32" }),
  "1 bit by tiles of 5 x 48": uniform({ bits: 1, symmetric: false, tile: { rows: 5, columns: 48 } }),
  NF4: nf4({ block: 32 }),
  "NF4, scales quantized": nf4({ block: 32, doubleQuantization: true }),
  FP4: fp4(),
  NVFP4: nvfp4(),
  MXFP4: mxfp4(),
  "E4M3 by tiles of 8 x 32": e4m3({ tile: { rows: 8, columns: 32 } }),
  "E4M3 by channel": e4m3(),
};

type Choice = Partial<RoundMatrixParams<FittedGrid>> & Pick<RoundMatrixParams<FittedGrid>, "rounding">;

const CHOICES: Readonly<Record<string, Choice>> = {
  nearest: { rounding: nearest() },
  "nearest, errors squared": { rounding: nearest(), calibrator: meanSquaredError({ steps: 40, norm: 2 }) },
  "nearest, errors to the power of 2.4": { rounding: nearest(), calibrator: meanSquaredError() },
  "nearest, a share of the values": { rounding: nearest(), calibrator: percentile({ share: 0.9 }) },
  "nearest, in the Hessian": {
    rounding: nearest(),
    calibrator: meanSquaredError({ steps: 20, norm: 2 }),
    searchInHessian: true,
  },
  gptq: { rounding: gptq() },
  "gptq, descending": { rounding: gptq({ order: "descending" }) },
  "gptq, tiles as they are entered": { rounding: gptq({ order: "descending-tiles", tiles: "dynamic" }) },
  "gptq, refined": { rounding: gptq({ passes: 2, refitScales: true }) },
  "gptq, scales searched": {
    rounding: gptq({ order: "descending", passes: 2, refitScales: true, searchScales: true }),
  },
  "coordinate descent": { rounding: coordinateDescent() },
  hqq: { rounding: hqq({ iterations: 3 }) },
};

// Neither rows nor columns of the first layer are a multiple of anything; blocks need whole ones.
const [rows, columns, blockColumns] = [37, 181, 512];

let kernels: Kernels;
let layer: LayerUnderTest;
let layerOfBlocks: LayerUnderTest;
beforeAll(async () => {
  kernels = await loadKernels();
  layer = await layerUnderTest(rows, columns, { seed: 3, tokens: 400 });
  layerOfBlocks = await layerUnderTest(rows, blockColumns, { seed: 4, tokens: 700 });
  // Some blocks are zeros, and some rows have scales of the other sign.
  layerOfBlocks.matrix.values.fill(0, 256, 1024);
});

const bits = (values: Float32Array): Int32Array => new Int32Array(values.buffer);

describe("kernels give the codes that come out element by element", () => {
  describe.each(Object.entries(GRIDS))("%s", (_name, grid) => {
    const choices = Object.entries(CHOICES).filter(
      ([, { rounding }]) => rounding.refuses(grid, { rows, columns }) === undefined,
    );
    it.each(choices)("%s", (_choice, choice) => {
      const { matrix, hessian, math } = layer;
      const task = { ...choice, matrix, hessian, math };
      const wanted = roundMatrix({ ...task, grid: oneByOne(grid) });
      const found = roundMatrix({ ...task, grid });
      expect(found.codes).toEqual(wanted.codes);
      expect(bits(found.values)).toEqual(bits(wanted.values));
      expect(found.grid.result(found.codes)).toEqual(wanted.grid.result(wanted.codes));
    });
  });

  describe.each(Object.keys(BLOCK_LAYOUTS))("blocks of %s", (type) => {
    it.each(Object.keys(CHOICES).filter((name) => CHOICES[name]!.calibrator === undefined && name !== "hqq"))(
      "%s",
      (name) => {
        const { matrix, hessian, math } = layerOfBlocks;
        const grid = ggml({ type }, { kernels });
        const task = { ...CHOICES[name]!, matrix, hessian, math };
        const wanted = roundMatrix({ ...task, grid: oneByOne(grid) });
        const found = roundMatrix({ ...task, grid });
        expect(found.codes).toEqual(wanted.codes);
        expect(bits(found.values)).toEqual(bits(wanted.values));
        expect(found.grid.blocks(found.codes)).toEqual(wanted.grid.blocks(wanted.codes));
      },
    );
  });

  it("in Wasm, too", async () => {
    const { matrix, hessian } = layer;
    const { math } = await loadKernels({ backend: "wasm" });
    for (const grid of Object.values(GRIDS)) {
      const rounding = gptq({ passes: 1, refitScales: true, searchScales: true });
      const task = { matrix, hessian, math, rounding };
      const calibrator = meanSquaredError();
      const wanted = roundMatrix({ ...task, calibrator, grid: oneByOne(grid) });
      const found = roundMatrix({ ...task, calibrator, grid });
      expect(found.codes).toEqual(wanted.codes);
      expect(bits(found.values)).toEqual(bits(wanted.values));
    }
    const grid = uniform({ bits: 2, symmetric: false, zero: "real", tile: { columns: 24 } });
    const task = { matrix, grid, rounding: hqq() };
    const [here, there] = [roundMatrix({ ...task, math: layer.math }), roundMatrix({ ...task, math })];
    expect(there.codes).toEqual(here.codes);
    expect(bits(there.values)).toEqual(bits(here.values));
  });
});

it("rows that are divided among threads get the codes that they have together", async () => {
  const [rows, columns] = [40, 200];
  const { matrix, hessian, math } = await layerUnderTest(rows, columns, { seed: 5 });
  const rounding = gptq({ passes: 2, refitScales: true });
  const order = columnOrder({ order: "descending", hessian: hessian.matrix, columns, width: 32 });
  const allocate = (size: number): SharedArrayBuffer => new SharedArrayBuffer(size);
  const feedback = errorFeedback({ hessian, order, damping: 0.01, refines: true, allocate, math });
  expect(feedback.factors.buffer).toBeInstanceOf(SharedArrayBuffer);
  expect(feedback.hessian?.buffer).toBeInstanceOf(SharedArrayBuffer);
  const grid = uniform({ bits: 3, symmetric: false, tile: { columns: 32 } });
  const calibrator = meanSquaredError();
  const whole = roundMatrix({
    matrix,
    grid,
    calibrator,
    hessian,
    math,
    rounding: gptq({ passes: 2, refitScales: true, order: "descending", damping: 0.01 }),
  });
  const parts = [0, 7, 24].map((first, i, starts) => {
    const values = matrix.values.subarray(first * columns, (starts[i + 1] ?? rows) * columns);
    const part = { rows: values.length / columns, columns, values };
    return roundMatrix({ matrix: part, grid, calibrator, rounding, hessian, feedback, math });
  });
  expect(parts.flatMap(({ codes }) => [...codes])).toEqual([...whole.codes]);
});

describe("feedback that is made in the Hessian's own memory", () => {
  const [rows, columns] = [12, 96];
  const grid = uniform({ bits: 3, symmetric: false, tile: { columns: 32 } });

  it.each([{ passes: 2, refitScales: true }, {}])("gives the same codes without it (%o)", async (options) => {
    const { matrix, hessian, math } = await layerUnderTest(rows, columns, { seed: 6 });
    // As statistics files have it.
    const known = { ...hessian, matrix: Float64Array.from(Float32Array.from(hessian.matrix)) };
    const importance = columnImportance(diagonalOf(known.matrix, columns))!;
    const rounding = gptq({ order: "descending", ...options });
    const task = { matrix, grid, calibrator: meanSquaredError(), rounding, math };
    const wanted = roundMatrix({ ...task, hessian: known });
    const sizes: number[] = [];
    const allocate = (size: number): ArrayBuffer => {
      sizes.push(size);
      return new ArrayBuffer(size);
    };
    const used = { ...known, matrix: known.matrix.slice() };
    const params = { hessian: used, grid, shape: matrix, overwrites: true, allocate, math };
    const feedback = rounding.prepare!(params);
    expect(sizes.every((size) => size <= 4 * columns ** 2)).toBe(true);
    used.matrix.fill(NaN);
    const found = roundMatrix({ ...task, importance, feedback });
    expect(found.codes).toEqual(wanted.codes);
    expect(bits(found.values)).toEqual(bits(wanted.values));
  });

  it("begins anew where damping was not enough", async () => {
    const { math } = await layerUnderTest(1, 8);
    // Not positive definite without much on its diagonal.
    const matrix = Float64Array.of(1, 2, 0, 2, 1, 0, 0, 0, 1);
    const order = Int32Array.of(2, 0, 1);
    const params = { order, damping: 0.01, math };
    const wanted = errorFeedback({ ...params, hessian: { matrix, tokens: 3 } });
    const found = errorFeedback({
      ...params,
      hessian: { matrix: matrix.slice(), tokens: 3 },
      overwrites: true,
    });
    expect(wanted.damping).toBeGreaterThan(0.5);
    expect(found.damping).toBe(wanted.damping);
    expect(found.factors).toEqual(wanted.factors);
  });

  it("does not stand for the Hessian where that is needed itself", async () => {
    const { matrix, hessian, math } = await layerUnderTest(rows, columns, { seed: 7 });
    const params = { hessian, grid, shape: matrix, math };
    const feedback = gptq().prepare!(params);
    const task = { matrix, grid, feedback, math };
    expect(() => roundMatrix({ ...task, rounding: gptq({ passes: 1 }) })).toThrow(
      expect.objectContaining({ code: "QUANTIZE_INPUT_MISSING" }),
    );
    expect(() => roundMatrix({ ...task, rounding: gptq(), searchInHessian: true })).toThrow(
      expect.objectContaining({ code: "QUANTIZE_INPUT_MISSING" }),
    );
  });
});
