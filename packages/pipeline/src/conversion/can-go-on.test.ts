import { QuernError } from "@quern/tensor";
import { describe, expect, it } from "vitest";
import { canGoOn } from "./can-go-on.ts";

const { signal } = new AbortController();

describe("another try", () => {
  it.each([
    "OUTPUT_DISK_FULL",
    "OUTPUT_WRITE_FAILED",
    "SOURCE_READ_FAILED",
    "HUB_UNREACHABLE",
    "WORKER_FAILED",
  ])("may mend %s", (code) => {
    expect(canGoOn(new QuernError(code, "…"), signal)).toBe(true);
  });

  it.each([
    "WEIGHT_NOT_FINITE",
    "WEIGHT_OVERFLOWS",
    "CHECKPOINT_CHANGED",
    "SOURCE_CHANGED",
    "STATISTICS_INVALID",
  ])("does not mend %s", (code) => {
    expect(canGoOn(new QuernError(code, "…"), signal)).toBe(false);
  });

  it("does not mend a file that could not be brought to disk", () => {
    const cause = Object.assign(new Error("EIO: i/o error, fsync"), { code: "EIO", syscall: "fsync" });
    expect(canGoOn(new QuernError("OUTPUT_WRITE_FAILED", "…", { cause }), AbortSignal.abort())).toBe(false);
  });

  it("mends an interruption, whatever came of it, and no bug", () => {
    expect(canGoOn(new TypeError("…"), AbortSignal.abort())).toBe(true);
    expect(canGoOn(new TypeError("…"), signal)).toBe(false);
  });
});
