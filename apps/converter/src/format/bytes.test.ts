import { assert, integer, property } from "fast-check";
import { describe, expect, it } from "vitest";
import { formatBytes, parseSize } from "./bytes.ts";

describe("formatBytes", () => {
  it.each([
    [0, "0 B"],
    [942, "942 B"],
    [999, "999 B"],
    [1000, "1.00 kB"],
    [5_775_872, "5.78 MB"],
    [9_995_000, "10.0 MB"],
    [99_949_999, "99.9 MB"],
    [99_950_000, "100 MB"],
    [999_499_999, "999 MB"],
    [999_500_000, "1.00 GB"],
    [16_060_000_000, "16.1 GB"],
    [-2_500_000, "-2.50 MB"],
  ])("%i is %s", (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it("is never wrong by more than half a unit of the last digit, and never shows four digits", () => {
    assert(
      property(integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), (bytes) => {
        const text = formatBytes(bytes);
        expect(text).toMatch(/^\d{1,3}(\.\d{1,2})? [kMGTP]?B$/);
        const shown = parseSizeOf(text);
        expect(Math.abs(shown - bytes)).toBeLessThanOrEqual(Math.max(0.5, bytes * 0.00501));
      }),
    );
  });
});

function parseSizeOf(text: string): number {
  const [value, unit] = text.split(" ");
  return Number(value) * 1000 ** ["B", "kB", "MB", "GB", "TB", "PB"].indexOf(unit!);
}

describe("parseSize", () => {
  it.each([
    ["1", 1],
    ["400MB", 400_000_000],
    ["400 mb", 400_000_000],
    ["1GiB", 2 ** 30],
    ["1.5G", 1.5 * 2 ** 30],
    ["64k", 65_536],
    ["0.5kB", 500],
    ["2TB", 2e12],
  ])("%s is %i bytes", (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each([
    ["2G", 2e9],
    ["500m", 5e8],
    ["64K", 64_000],
    ["2GiB", 2 ** 31],
    ["2GB", 2e9],
    ["65536", 65_536],
  ])("%s is %i bytes where letters are powers of 1000", (text, bytes) => {
    expect(parseSize(text, 1000)).toBe(bytes);
  });

  it.each(["", "MB", "-1", "1e9", "12 parsecs", "0", "0.1", "99999999TB", "1,5GB", "0x10"])(
    "refuses %j",
    (text) => {
      expect(parseSize(text)).toBeUndefined();
    },
  );
});
