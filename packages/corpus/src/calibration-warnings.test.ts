import { describe, expect, it } from "vitest";
import { calibrationWarnings } from "./calibration-warnings.ts";

describe("calibration warnings", () => {
  it("ask for two tokens for each input", () => {
    const layers = [{ name: "blk.0.ffn_down", inputs: 512 }];
    expect(calibrationWarnings({ tokens: 1024, layers })).toEqual([]);
    expect(calibrationWarnings({ tokens: 1023, layers })).toEqual([
      {
        code: "CALIBRATION_FEW_TOKENS",
        layer: "blk.0.ffn_down",
        tokens: 1023,
        wanted: 1024,
        message: expect.stringContaining("blk.0.ffn_down sees 1023 tokens"),
      },
    ]);
  });

  it("count what an expert sees", () => {
    const layers = [{ name: "experts", inputs: 512, experts: 64, activeExperts: 4 }];
    expect(calibrationWarnings({ tokens: 16_384, layers })).toEqual([]);
    expect(calibrationWarnings({ tokens: 16_000, layers })).toMatchObject([
      {
        code: "CALIBRATION_FEW_TOKENS_PER_EXPERT",
        tokens: 1000,
        wanted: 1024,
        message: expect.stringContaining("16384 tokens of calibration data"),
      },
    ]);
  });
});
