import { createHash } from "node:crypto";
import { bytesSource } from "@quern/tensor";
import fc from "fast-check";
import { expect, it } from "vitest";
import { hashFile } from "./hash-file.ts";

const PIECE = 2 ** 22;

function hashed(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Cuts a file into pieces, every other of which is a region. */
function regionsAt(cuts: readonly number[]): { offset: number; bytes: number }[] {
  const sorted = cuts.toSorted((a, b) => a - b);
  return sorted.flatMap((offset, index) =>
    index % 2 === 0 && index + 1 < sorted.length ? [{ offset, bytes: sorted[index + 1]! - offset }] : [],
  );
}

it("hashes a file and its regions, across the pieces that are read", async () => {
  const bytes = new Uint8Array(2 * PIECE + 5000).map((_, index) => (index * 2654435761) >>> 24);
  const place = fc.oneof(fc.nat(bytes.length), fc.constantFrom(0, PIECE, 2 * PIECE, bytes.length));
  await fc.assert(
    fc.asyncProperty(fc.array(place, { maxLength: 10 }), async (cuts) => {
      const regions = regionsAt(cuts);
      let seen = 0;
      const result = await hashFile({
        source: bytesSource({ bytes, name: "random" }),
        regions,
        onBytes: (count) => (seen += count),
      });
      expect(result.sha256).toBe(hashed(bytes));
      expect(seen).toBe(bytes.length);
      expect(result.regions).toEqual(
        regions.map(({ offset, bytes: size }) => hashed(bytes.subarray(offset, offset + size))),
      );
    }),
    { numRuns: 20 },
  );
});

it("finds the first byte between regions that is not 0", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(600), { minLength: 2, maxLength: 8 }), fc.nat(599), async (cuts, at) => {
      const bytes = new Uint8Array(600);
      bytes[at] = 1;
      const regions = regionsAt(cuts);
      const inside = regions.some(({ offset, bytes: size }) => at >= offset && at < offset + size);
      const { stray } = await hashFile({
        source: bytesSource({ bytes, name: "zeros" }),
        regions,
        findStray: true,
      });
      expect(stray).toBe(inside ? undefined : at);
    }),
  );
});

it("hashes nothing", async () => {
  const empty = new Uint8Array(0);
  const regions = [{ offset: 0, bytes: 0 }];
  expect(await hashFile({ source: bytesSource({ bytes: empty, name: "empty" }), regions })).toEqual({
    sha256: hashed(empty),
    regions: [hashed(empty)],
  });
});

it("ends with the reason of a signal", async () => {
  const source = bytesSource({ bytes: new Uint8Array(10), name: "short" });
  const reason = new Error("enough");
  await expect(hashFile({ source, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
});
