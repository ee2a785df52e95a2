import { expect, it } from "vitest";
import { sha256Of } from "./sha256.ts";

it("hashes text as UTF-8", () => {
  // The empty message and "abc" of FIPS 180-2.
  expect(sha256Of("")).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  expect(sha256Of("abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  expect(sha256Of("ä")).toBe(sha256Of(Uint8Array.of(0xc3, 0xa4)));
});
