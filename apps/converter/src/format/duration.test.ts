import { expect, it } from "vitest";
import { formatDuration } from "./duration.ts";

it.each([
  [0, "0 ms"],
  [85.4, "85 ms"],
  [999.4, "999 ms"],
  [999.6, "1 s"],
  [3249, "3.2 s"],
  [9949, "9.9 s"],
  [9960, "10 s"],
  [59_499, "59 s"],
  [59_600, "1 min 00 s"],
  [245_000, "4 min 05 s"],
  [3_599_600, "1 h 00 min"],
  [7_620_000, "2 h 07 min"],
  [100 * 3_600_000, "100 h 00 min"],
])("%d ms is %s", (milliseconds, text) => {
  expect(formatDuration(milliseconds)).toBe(text);
});
