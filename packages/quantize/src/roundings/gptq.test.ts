import { describe, expect, it } from "vitest";
import { meanSquaredError } from "../calibrators/mean-squared-error.ts";
import { nf4 } from "../grids/bitsandbytes.ts";
import { e4m3, mxfp4, nvfp4 } from "../grids/float-grids.ts";
import type { Grid, TiledGrid } from "../grids/grid.ts";
import { uniform } from "../grids/uniform.ts";
import { columnOrder } from "../hessian/column-order.ts";
import { dampedHessian } from "../hessian/damping.ts";
import { errorFeedback } from "../hessian/feedback.ts";
import { outputError, outputErrorOn } from "../measure/output-error.ts";
import { layerUnderTest } from "../testing/tasks.ts";
import { textbookGptq } from "../testing/textbook-gptq.ts";
import { gptq } from "./gptq.ts";
import { nearest } from "./nearest.ts";
import { roundMatrix } from "./round-matrix.ts";

const GRIDS: Readonly<Record<string, Grid<TiledGrid>>> = {
  "4 bits symmetric by 16": uniform({ bits: 4, symmetric: true, tile: { columns: 16 } }),
  "3 bits asymmetric by channel": uniform({ bits: 3, symmetric: false }),
  "2 bits with offsets by 24, with a tail": uniform({
    bits: 2,
    symmetric: false,
    zero: "real",
    tile: { columns: 24 },
  }),
  "8 bits by tensor": uniform({ bits: 8, symmetric: true, tile: "tensor" }),
  NF4: nf4({ block: 32 }),
  NVFP4: nvfp4(),
  MXFP4: mxfp4(),
  "E4M3 by tiles of 8 x 32": e4m3({ tile: { rows: 8, columns: 32 } }),
};

describe("codes are those of the textbook", () => {
  // More than a block of 128 columns, and not a multiple of it.
  const [rows, columns] = [12, 176];

  it.each(Object.entries(GRIDS))("on %s", async (_name, grid) => {
    const { matrix, hessian, math } = await layerUnderTest(rows, columns);
    const rounded = roundMatrix({ matrix, grid, rounding: gptq({ damping: 0.01 }), hessian, math });
    const fitted = grid.open(matrix);
    fitted.fit({ values: matrix.values });
    const wanted = textbookGptq({
      weights: matrix.values,
      rows,
      columns,
      hessian: dampedHessian(hessian, columns, 0.01),
      round(row, column, value) {
        const code = fitted.encode(row, column, value);
        return { code, value: fitted.decode(row, column, code) };
      },
    });
    expect(rounded.codes).toEqual(wanted);
    expect(rounded.damping).toBe(0.01);
  });

  it.each([
    [16, 176],
    [24, 176],
    [160, 400],
    [176, 176],
  ])("where tiles of %i of %i columns are fitted as they are entered", async (width, n) => {
    const { matrix, hessian, math } = await layerUnderTest(rows, n, { seed: 3 });
    const grid = uniform({ bits: 3, symmetric: false, tile: { columns: width } });
    const rounding = gptq({ damping: 0.02, tiles: "dynamic" });
    const rounded = roundMatrix({ matrix, grid, rounding, hessian, math });
    const fitted = grid.open(matrix);
    const wanted = textbookGptq({
      weights: matrix.values,
      rows,
      columns: n,
      hessian: dampedHessian(hessian, n, 0.02),
      enter(column, weights) {
        if (column % width !== 0) return;
        fitted.fit({ values: Float32Array.from(weights), from: column, to: Math.min(column + width, n) });
      },
      round(row, column, value) {
        const code = fitted.encode(row, column, value);
        return { code, value: fitted.decode(row, column, code) };
      },
    });
    expect(rounded.codes).toEqual(wanted);
  });

  it.each(["descending", "descending-tiles"] as const)("in %s order", async (order) => {
    const { matrix, hessian, math } = await layerUnderTest(rows, columns, { seed: 5 });
    const grid = uniform({ bits: 4, symmetric: true, tile: { columns: 32 } });
    const rounded = roundMatrix({ matrix, grid, rounding: gptq({ damping: 0.01, order }), hessian, math });
    const places = columnOrder({ order, hessian: hessian.matrix, columns, width: 32 });
    const damped = dampedHessian(hessian, columns, 0.01);
    const permuted = damped.map(
      (_, i) => damped[places[Math.floor(i / columns)]! * columns + places[i % columns]!]!,
    );
    const fitted = grid.open(matrix);
    fitted.fit({ values: matrix.values });
    const wanted = textbookGptq({
      weights: matrix.values.map(
        (_, i) => matrix.values[Math.floor(i / columns) * columns + places[i % columns]!]!,
      ),
      rows,
      columns,
      hessian: permuted,
      round(row, place, value) {
        const code = fitted.encode(row, places[place]!, value);
        return { code, value: fitted.decode(row, places[place]!, code) };
      },
    });
    wanted.forEach((code, i) => {
      expect(rounded.codes[Math.floor(i / columns) * columns + places[i % columns]!]).toBe(code);
    });
  });
});

describe("orders", () => {
  it("begin with the largest inputs, of all or of each tile", () => {
    const hessian = new Float64Array(49);
    [3, 9, 1, 4, 4, 7, 2].forEach((value, i) => (hessian[i * 8] = value));
    const of = (order: "natural" | "descending" | "descending-tiles"): number[] => [
      ...columnOrder({ order, hessian, columns: 7, width: 3 }),
    ];
    expect(of("natural")).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(of("descending")).toEqual([1, 5, 3, 4, 0, 6, 2]);
    expect(of("descending-tiles")).toEqual([1, 0, 2, 5, 3, 4, 6]);
  });

  it("of tiles go with tiles that are fitted as they are entered, an incomplete one among them", async () => {
    const { matrix, hessian, math } = await layerUnderTest(6, 70, { seed: 8 });
    // The last, incomplete tile comes first.
    const large = hessian.matrix.slice();
    for (let i = 0; i < 70; i++) {
      large[69 * 70 + i]! *= 40;
      large[i * 70 + 69]! *= 40;
    }
    const grid = uniform({ bits: 3, symmetric: false, tile: { columns: 32 } });
    const task = { matrix, grid, hessian: { matrix: large, tokens: 280 }, math };
    const rounding = gptq({ order: "descending-tiles", tiles: "dynamic" });
    const error = (values: Float32Array): number => outputError({ ...task, hessian: large, values }).relative;
    expect(error(roundMatrix({ ...task, rounding }).values)).toBeLessThan(
      0.7 * error(roundMatrix({ ...task, rounding: nearest() }).values),
    );
    expect(columnOrder({ order: "descending-tiles", hessian: large, columns: 70, width: 32 })[0]).toBe(69);
  });
});

describe("what it is for", () => {
  it.each(Object.entries(GRIDS))(
    "on %s it beats rounding to nearest on inputs not seen",
    async (_name, grid) => {
      const { matrix, hessian, heldOut, math } = await layerUnderTest(24, 128, { seed: 11 });
      const errorOf = (values: Float32Array): number =>
        outputErrorOn({ matrix, values, inputs: heldOut, math }).relative;
      const task = { matrix, grid, hessian, math };
      const plain = errorOf(roundMatrix({ ...task, rounding: nearest() }).values);
      const compensated = errorOf(roundMatrix({ ...task, rounding: gptq() }).values);
      const refined = errorOf(
        roundMatrix({ ...task, rounding: gptq({ passes: 2, refitScales: true }) }).values,
      );
      expect(compensated).toBeLessThan(0.7 * plain);
      expect(refined).toBeLessThan(1.02 * compensated);
    },
  );

  it("works with searched ranges", async () => {
    const { matrix, hessian, math } = await layerUnderTest(16, 96, { seed: 12 });
    const grid = uniform({ bits: 2, symmetric: true, tile: { columns: 32 } });
    const task = { matrix, grid, rounding: gptq(), hessian, math };
    const error = (values: Float32Array): number =>
      outputError({ ...task, hessian: hessian.matrix, values }).relative;
    const searched = roundMatrix({ ...task, calibrator: meanSquaredError({ steps: 40, norm: 2 }) });
    expect(error(searched.values)).toBeLessThan(error(roundMatrix(task).values));
  });
});

describe("division", () => {
  it("by rows, with feedback that is made once, changes nothing", async () => {
    const [rows, columns] = [13, 160];
    const { matrix, hessian, math } = await layerUnderTest(rows, columns, { seed: 14 });
    const grid = uniform({ bits: 3, symmetric: false, tile: { columns: 32 } });
    for (const tiles of ["static", "dynamic"] as const) {
      const order = "descending-tiles";
      const rounding = gptq({
        order,
        tiles,
        damping: 0.03,
        passes: 1,
        refitScales: true,
        searchScales: true,
      });
      const task = { grid, rounding, hessian, math };
      const whole = roundMatrix({ ...task, matrix });
      const places = columnOrder({ order, hessian: hessian.matrix, columns, width: 32 });
      const feedback = errorFeedback({ hessian, order: places, damping: 0.03, math });
      for (const [from, to] of [
        [0, 1],
        [1, 9],
        [9, 13],
      ] as const) {
        const part = { rows: to - from, columns, values: matrix.values.slice(from * columns, to * columns) };
        const rounded = roundMatrix({ ...task, matrix: part, feedback: structuredClone(feedback) });
        expect(rounded.codes).toEqual(whole.codes.slice(from * columns, to * columns));
        expect(rounded.values).toEqual(whole.values.slice(from * columns, to * columns));
      }
    }
  });
});

describe("bad input", () => {
  it("leaves columns without inputs to rounding to nearest, and names them", async () => {
    const { matrix, hessian, math } = await layerUnderTest(8, 64);
    const dead = hessian.matrix.slice();
    for (const column of [0, 17, 63]) {
      for (let i = 0; i < 64; i++) dead[column * 64 + i] = dead[i * 64 + column] = 0;
    }
    const grid = uniform({ bits: 4, symmetric: true });
    const task = { matrix, grid, hessian: { matrix: dead, tokens: 256 }, math };
    const found = roundMatrix({ ...task, rounding: gptq({ passes: 1 }) });
    const plain = roundMatrix({ matrix, grid, rounding: nearest() });
    expect(found.deadColumns).toEqual([0, 17, 63]);
    for (let row = 0; row < 8; row++) {
      for (const column of [0, 17, 63]) {
        expect(found.codes[row * 64 + column]).toBe(plain.codes[row * 64 + column]);
      }
    }
    const nothing = { matrix: new Float64Array(64 * 64), tokens: 0 };
    const unseen = roundMatrix({ ...task, hessian: nothing, rounding: gptq({ passes: 1 }) });
    expect(unseen.codes).toEqual(plain.codes);
  });

  it("damps more where the Hessian is singular, and says so; gives up in the end", async () => {
    const { matrix, math } = await layerUnderTest(4, 48);
    const grid = uniform({ bits: 4, symmetric: true });
    // Indefinite: a diagonal of 1 with 3 beside it.
    const indefinite = Float64Array.from({ length: 48 * 48 }, (_, i) =>
      i % 49 === 0 ? 1 : Math.abs((i % 48) - Math.floor(i / 48)) === 1 ? 3 : 0,
    );
    const found = roundMatrix({
      matrix,
      grid,
      rounding: gptq(),
      hessian: { matrix: indefinite, tokens: 1000 },
      math,
    });
    expect(found.damping).toBeGreaterThan(4);
    const hopeless = indefinite.map((value) => (value === 3 ? 30 : value));
    expect(() =>
      roundMatrix({ matrix, grid, rounding: gptq(), hessian: { matrix: hopeless, tokens: 1000 }, math }),
    ).toThrow(expect.objectContaining({ code: "QUANTIZE_HESSIAN_SINGULAR" }));
  });

  it("is refused with its reason", async () => {
    const { matrix, hessian, math } = await layerUnderTest(4, 48);
    const grid = uniform({ bits: 4, symmetric: true });
    const thrown = (run: () => unknown): unknown => {
      try {
        run();
      } catch (error) {
        return (error as { code?: string }).code;
      }
      return undefined;
    };
    expect(thrown(() => gptq({ order: "descending", tiles: "dynamic" }))).toBe("QUANTIZE_OPTION");
    expect(thrown(() => gptq({ passes: -1 }))).toBe("QUANTIZE_OPTION");
    expect(thrown(() => roundMatrix({ matrix, grid, rounding: gptq(), math }))).toBe(
      "QUANTIZE_INPUT_MISSING",
    );
    expect(thrown(() => roundMatrix({ matrix, grid, rounding: gptq({ shift: 0.25 }), hessian, math }))).toBe(
      "QUANTIZE_INPUT_MISSING",
    );
    const short = { matrix: hessian.matrix.subarray(1), tokens: 1 };
    expect(thrown(() => roundMatrix({ matrix, grid, rounding: gptq(), hessian: short, math }))).toBe(
      "QUANTIZE_SHAPE",
    );
    const infinite = { matrix: hessian.matrix.map((value, i) => (i === 49 ? Infinity : value)), tokens: 1 };
    expect(thrown(() => roundMatrix({ matrix, grid, rounding: gptq(), hessian: infinite, math }))).toBe(
      "QUANTIZE_NOT_FINITE",
    );
    const tiles = e4m3({ tile: { rows: 4, columns: 16 } });
    expect(
      thrown(() => roundMatrix({ matrix, grid: tiles, rounding: gptq({ tiles: "dynamic" }), hessian, math })),
    ).toBe("QUANTIZE_COMBINATION");
  });
});
