import { beforeAll, describe, expect, it } from "vitest";
import type { Kernels } from "../index.ts";
import { sameBits, gaussian, relativeError } from "../testing/arrays.ts";
import { allKernels } from "../testing/backends.ts";

let all: readonly Kernels[];
beforeAll(async () => {
  all = await allKernels();
});

describe("rope", () => {
  for (const layout of ["interleaved", "halves"] as const) {
    for (const [headSize, rotated] of [
      [2, 2],
      [10, 10],
      [80, 80],
      [64, 22],
      [5, 0],
    ] as const) {
      it(`turns ${layout} pairs: ${rotated} elements of heads of ${headSize}`, () => {
        const [tokens, heads] = [5, 3];
        const stride = heads * headSize + 4;
        const pairs = rotated / 2;
        const x = gaussian(tokens * stride, headSize);
        const angles = gaussian(tokens * pairs, 7).map((value) => value * 5);
        const cos = angles.map(Math.cos);
        const sin = angles.map(Math.sin);
        const wanted = Float64Array.from(x);
        for (let token = 0; token < tokens; token++) {
          for (let head = 0; head < heads; head++) {
            for (let i = 0; i < pairs; i++) {
              const start = token * stride + head * headSize;
              const [first, second] =
                layout === "halves" ? [start + i, start + i + pairs] : [start + 2 * i, start + 2 * i + 1];
              const angle = token * pairs + i;
              wanted[first] = x[first]! * cos[angle]! - x[second]! * sin[angle]!;
              wanted[second] = x[second]! * cos[angle]! + x[first]! * sin[angle]!;
            }
          }
        }
        const results = all.map(({ math }) => {
          const turned = x.slice();
          math.rope({ x: turned, stride, tokens, heads, headSize, rotated, cos, sin, layout });
          return turned;
        });
        expect(relativeError(results[0]!, wanted, 1)).toBeLessThan(2e-7);
        for (const result of results) expect(sameBits(result, results[0]!)).toBe(true);
      });
    }
  }
});
