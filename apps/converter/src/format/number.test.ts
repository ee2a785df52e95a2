import { describe, expect, it } from "vitest";
import { formatBitsPerWeight, formatInteger, formatParameters, formatPercent } from "./number.ts";

describe("formatInteger", () => {
  it.each([
    [0, "0"],
    [999, "999"],
    [1000, "1,000"],
    [-1_234_567, "-1,234,567"],
    [12_345_678_901_234_567_890n, "12,345,678,901,234,567,890"],
  ])("%s is %s", (value, text) => {
    expect(formatInteger(value)).toBe(text);
  });
});

describe("formatParameters", () => {
  it.each([
    [512, "512"],
    [2_886_912, "2.89M"],
    [999_600, "1.00M"],
    [8_030_261_248, "8.03B"],
    [671_026_419_200, "671B"],
    [1_000_000_000_000_000, "1000T"],
  ])("%i is %s", (count, text) => {
    expect(formatParameters(count)).toBe(text);
  });
});

it("computes bits per weight", () => {
  expect(formatBitsPerWeight(144, 256)).toBe("4.50");
  expect(formatBitsPerWeight(0, 0)).toBe("-");
});

it("says 100% only when everything is done", () => {
  expect(formatPercent(0, 10)).toBe("0.0%");
  expect(formatPercent(99_999, 100_000)).toBe("99.9%");
  expect(formatPercent(100_000, 100_000)).toBe("100%");
  expect(formatPercent(0, 0)).toBe("100%");
});
