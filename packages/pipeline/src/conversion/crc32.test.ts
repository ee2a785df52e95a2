import { crc32 } from "node:zlib";
import fc from "fast-check";
import { expect, it } from "vitest";
import { joinCrc32 } from "./crc32.ts";

it("joins checksums as those of the bytes together", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5000 }), fc.uint8Array({ maxLength: 5000 }), (a, b) => {
      const joined = joinCrc32({ first: crc32(a), second: crc32(b), bytes: b.length });
      expect(joined).toBe(crc32(Buffer.concat([a, b])));
    }),
  );
});

it("joins runs of more bytes than fit 32 bits", () => {
  const zeros = new Uint8Array(2 ** 24);
  const chunks = 300;
  let whole = crc32("x");
  let tail = 0;
  for (let i = 0; i < chunks; i++) {
    whole = crc32(zeros, whole);
    tail = crc32(zeros, tail);
  }
  expect(joinCrc32({ first: crc32("x"), second: tail, bytes: chunks * zeros.length })).toBe(whole);
});
