import { SMALL_FLOATS } from "@quern/tensor";
import fc from "fast-check";
import { expect, it } from "vitest";
import { roundToScaleType } from "./scale-type.ts";

it.each(["F16", "BF16"] as const)("rounds to %s as numbers are stored", (type) => {
  const { encode, decode } = SMALL_FLOATS[type];
  const stored = (value: number): number => decode(encode(value, true));
  const codes = fc.nat(0xffff).map(decode);
  const middles = codes.map((value) => (value + stored(value * (1 + 2 ** -7))) / 2);
  fc.assert(
    fc.property(fc.oneof(codes, middles, fc.double(), fc.float()), (value) => {
      fc.pre(!Number.isNaN(value));
      expect(roundToScaleType(type, value) + 0).toBe(stored(value) + 0);
    }),
    { numRuns: 5000 },
  );
});
