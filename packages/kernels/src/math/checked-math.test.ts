import { beforeAll, describe, expect, it } from "vitest";
import type { Kernels, MathKernels } from "../index.ts";
import { allKernels } from "../testing/backends.ts";

let all: readonly Kernels[];
beforeAll(async () => {
  all = await allKernels();
});

const floats = (length: number): Float32Array => new Float32Array(length);
const doubles = (length: number): Float64Array => new Float64Array(length);

/** Calls that are right, as long as nothing is changed. */
const gemm = { m: 2, n: 3, k: 4, a: floats(8), b: floats(12), c: floats(6) };
const syrk = { x: floats(6), tokens: 2, n: 3, h: doubles(9) };
const rows = { x: floats(6), y: floats(6), rows: 2, columns: 3 };
const norm = { ...rows, epsilon: 0 };
const rope = {
  x: floats(8),
  tokens: 2,
  heads: 1,
  headSize: 4,
  cos: floats(4),
  sin: floats(4),
  layout: "halves",
} as const;
const statistics = {
  x: floats(6),
  rows: 2,
  columns: 3,
  sum: doubles(3),
  sumOfSquares: doubles(3),
  sumOfMagnitudes: doubles(3),
  largest: floats(3),
};
const sizes = { tokens: 2, keys: 3, heads: 4, kvHeads: 2, headSize: 5, valueSize: 2, scale: 1 };
const attention = { ...sizes, q: floats(40), k: floats(30), v: floats(12), y: floats(16), sinks: floats(4) };

const WRONG: Readonly<Record<string, readonly [(math: MathKernels) => unknown, string]>> = {
  "a short a": [
    (math) => math.gemm({ ...gemm, a: floats(7) }),
    "a has 28 bytes, but 2 x 4 elements with rows 4 apart take 32",
  ],
  "a short b": [
    (math) => math.gemm({ ...gemm, b: floats(11) }),
    "b has 44 bytes, but 4 x 3 weights of type F32",
  ],
  "a short c": [(math) => math.gemm({ ...gemm, c: floats(5) }), "c has 20 bytes"],
  "a stride of c": [
    (math) => math.gemm({ ...gemm, cStride: 2 }),
    "rows of c are 2 apart, but have 3 elements",
  ],
  "a stride that is too long": [(math) => math.gemm({ ...gemm, aStride: 5 }), "a has 32 bytes"],
  "a stride that is no integer": [
    (math) => math.gemm({ ...gemm, aStride: 4.5 }),
    "the stride of a must be an integer",
  ],
  "a negative size": [(math) => math.gemm({ ...gemm, m: -1 }), "m must be an integer"],
  "an infinite alpha": [(math) => math.gemm({ ...gemm, alpha: Infinity }), "alpha must be a finite number"],
  "an unknown type": [(math) => math.gemm({ ...gemm, bType: "Q9" }), 'unknown type "Q9" of b'],
  "floats of another type": [
    (math) => math.gemm({ ...gemm, bType: "BF16" }),
    "b of type BF16 must be a Uint8Array",
  ],
  "part of a block": [
    (math) => math.gemm({ ...gemm, bType: "Q8_0", b: new Uint8Array(68), transposeB: true }),
    "columns of b must be a multiple of 32 for Q8_0, but there are 4",
  ],
  "another kind of array": [
    (math) => math.gemm({ ...gemm, a: doubles(8) as unknown as Float32Array }),
    "a must be a Float32Array",
  ],
  "a short h": [(math) => math.syrk({ ...syrk, h: doubles(8) }), "h has 64 bytes"],
  "a short slice of h": [
    (math) => math.syrk({ ...syrk, firstRow: 1, h: doubles(5) }),
    "h has 40 bytes, but 2 x 3 elements",
  ],
  "rows beyond the last": [
    (math) => math.syrk({ ...syrk, firstRow: 2, rows: 2 }),
    "there are 3 rows, not 2 from row 2 on",
  ],
  "a first row beyond the last": [(math) => math.syrk({ ...syrk, firstRow: 4 }), "rows must be an integer"],
  "a short matrix": [(math) => math.cholesky({ matrix: doubles(3), n: 2 }), "matrix has 24 bytes"],
  "a short right-hand side": [
    (math) => math.solve({ factor: doubles(4), n: 2, b: doubles(5), columns: 3 }),
    "b has 40 bytes",
  ],
  "a short y": [(math) => math.softmax({ ...rows, y: floats(5) }), "y has 20 bytes"],
  "a short weight": [(math) => math.rmsNorm({ ...norm, weight: floats(2) }), "weight has 8 bytes"],
  "a negative epsilon": [(math) => math.layerNorm({ ...norm, epsilon: -1 }), "epsilon must not be negative"],
  "no epsilon": [(math) => math.rmsNorm({ ...norm, epsilon: NaN }), "epsilon must be a finite number"],
  "a short x": [(math) => math.logSumExp({ ...rows, rows: 3 }), "x has 24 bytes"],
  "an unknown activation": [
    (math) => math.activate({ kind: "swish" as "silu", x: floats(1), y: floats(1) }),
    'unknown kind "swish"; there are silu',
  ],
  "a count beyond the end": [
    (math) => math.activate({ kind: "silu", x: floats(1), y: floats(1), count: 2 }),
    "x has 4 bytes",
  ],
  "a short sum": [(math) => math.addScaled({ x: floats(2), y: floats(1) }), "y has 4 bytes"],
  "a short bias": [
    (math) => math.addBias({ y: floats(4), bias: floats(1), rows: 2, columns: 2 }),
    "bias has 4 bytes",
  ],
  "half a pair": [(math) => math.rope({ ...rope, rotated: 3 }), "rotated must be even and at most 4, not 3"],
  "more pairs than elements": [(math) => math.rope({ ...rope, rotated: 6 }), "rotated must be even"],
  "a short table": [(math) => math.rope({ ...rope, cos: floats(3) }), "cos has 12 bytes"],
  "an unknown layout": [(math) => math.rope({ ...rope, layout: "neox" as "halves" }), "layout must be"],
  "heads that share nothing": [
    (math) => math.attention({ ...attention, kvHeads: 3 }),
    "4 heads cannot share 3",
  ],
  "no heads of keys": [(math) => math.attention({ ...attention, kvHeads: 0 }), "4 heads cannot share 0"],
  "short values": [(math) => math.attention({ ...attention, v: floats(11) }), "v has 44 bytes"],
  "short sinks": [(math) => math.attention({ ...attention, sinks: floats(3) }), "sinks has 12 bytes"],
  "a soft cap of 0": [(math) => math.attention({ ...attention, softCap: 0 }), "softCap must be positive"],
  "half a window": [(math) => math.attention({ ...attention, before: 0.5 }), "before must be an integer"],
  "a short sum of squares": [
    (math) => math.columnStatistics({ ...statistics, sumOfSquares: doubles(2) }),
    "sumOfSquares has 16 bytes",
  ],
  "a short largest": [
    (math) => math.columnStatistics({ ...statistics, largest: floats(2) }),
    "largest has 8 bytes",
  ],
  "fewer counts than bins": [
    (math) => math.magnitudeHistogram({ ...statistics, counts: doubles(2047) }),
    "counts has 16376 bytes",
  ],
  "no scale": [(math) => math.attention({ ...attention, scale: NaN }), "scale must be a finite number"],
};

describe("wrong arguments", () => {
  for (const [what, [call, message]] of Object.entries(WRONG)) {
    it(`are refused: ${what}`, () => {
      for (const { math } of all) {
        expect(() => call(math)).toThrow(
          expect.objectContaining({
            code: "KERNEL_ARGUMENT",
            message: expect.stringContaining(message) as string,
          }),
        );
      }
    });
  }

  it("are not these", () => {
    for (const { math } of all) {
      expect(() => {
        math.gemm(gemm);
        math.syrk(syrk);
        math.syrk({ ...syrk, firstRow: 1, h: doubles(6) });
        math.columnStatistics(statistics);
        math.softmax(rows);
        math.rmsNorm(norm);
        math.rope(rope);
        math.attention(attention);
      }).not.toThrow();
    }
  });
});
