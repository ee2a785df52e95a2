import { describe, expect, it } from "vitest";
import { readRange } from "./read-range.ts";

const GIB = 2 ** 30;

describe("readRange", () => {
  it("reads in pieces of at most 1 GiB and goes on after short ones", async () => {
    const into = new Uint8Array(2 * GIB + 100);
    const pieces: [offset: number, length: number][] = [];
    const bytes = await readRange({
      source: { name: "big", size: 8 * GIB },
      offset: 5 * GIB,
      length: into.byteLength,
      into,
      async readChunk(offset, target) {
        expect(target.buffer).toBe(into.buffer);
        expect(target.byteOffset).toBe(offset - 5 * GIB);
        pieces.push([offset, target.byteLength]);
        return Math.min(target.byteLength, GIB - 7);
      },
    });
    expect(bytes).toBe(into);
    expect(pieces).toEqual([
      [5 * GIB, GIB],
      [6 * GIB - 7, GIB],
      [7 * GIB - 14, 114],
    ]);
  });

  it("says where the source ended", async () => {
    const reading = readRange({
      source: { name: "short", size: 100 },
      offset: 10,
      length: 50,
      into: undefined,
      readChunk: async (offset) => (offset === 10 ? 20 : 0),
    });
    await expect(reading).rejects.toThrow(
      expect.objectContaining({
        code: "SOURCE_TRUNCATED",
        subject: { file: "short", offset: 30 },
        message: expect.stringContaining("got 20 of 50 bytes from offset 10") as string,
      }),
    );
  });
});
