import { describe, expect, it } from "vitest";
import { outputErrorOn } from "../measure/output-error.ts";
import { coordinateDescent } from "../roundings/coordinate-descent.ts";
import { gptq } from "../roundings/gptq.ts";
import { hqq } from "../roundings/hqq.ts";
import { nearest } from "../roundings/nearest.ts";
import { roundMatrix } from "../roundings/round-matrix.ts";
import type { Rounding } from "../roundings/rounding.ts";
import { stochastic } from "../roundings/stochastic.ts";
import { superBlockGrid } from "../testing/super-block-grid.ts";
import { layerUnderTest } from "../testing/tasks.ts";

describe("a grid of blocks within blocks", () => {
  it("goes with every rounding that is not about zero points of its tiles", async () => {
    // The last block is incomplete.
    const { matrix, hessian, heldOut, math } = await layerUnderTest(12, 168, { seed: 61 });
    const task = { matrix, grid: superBlockGrid(), hessian, math };
    const errorOf = (rounding: Rounding): number => {
      const { values } = roundMatrix({ ...task, rounding });
      return outputErrorOn({ matrix, values, inputs: heldOut, math }).relative;
    };
    const plain = errorOf(nearest());
    expect(errorOf(stochastic())).toBeGreaterThan(plain);
    expect(errorOf(coordinateDescent())).toBeLessThan(0.7 * plain);
    const compensated = errorOf(gptq());
    expect(compensated).toBeLessThan(0.6 * plain);
    expect(errorOf(gptq({ tiles: "dynamic" }))).toBeLessThan(0.6 * plain);
    expect(errorOf(gptq({ order: "descending-tiles", tiles: "dynamic" }))).toBeLessThan(0.7 * plain);
    expect(errorOf(gptq({ passes: 2, refitScales: true }))).toBeLessThan(compensated);
    expect(() => errorOf(hqq())).toThrow(expect.objectContaining({ code: "QUANTIZE_COMBINATION" }));
  });
});
