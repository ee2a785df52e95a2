import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import type { GemmParams, Kernels } from "../index.ts";
import { sameBits, FUSED, gaussian } from "../testing/arrays.ts";
import { allKernels, bytesOf, rowSize } from "../testing/backends.ts";
import { dot, elementsOf } from "../testing/reference-math.ts";

let all: readonly Kernels[];
beforeAll(async () => {
  all = await allKernels();
});

interface Case {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly accumulate: boolean;
  readonly alpha: number;
  /** Elements between the end of a row and the start of the next. */
  readonly gap: number;
}

/** What `gemm` takes for a case, with values that must survive around c. */
function inputsOf(shape: Case, seed: number): GemmParams & { readonly cStride: number } {
  const { m, n, k, transposeA, transposeB, gap } = shape;
  const [aRows, aColumns] = transposeA ? [k, m] : [m, k];
  const [bRows, bColumns] = transposeB ? [n, k] : [k, n];
  return {
    ...shape,
    a: gaussian(aRows * (aColumns + gap), seed),
    aStride: aColumns + gap,
    b: gaussian(bRows * (bColumns + gap), seed + 1),
    bStride: bColumns + gap,
    c: gaussian(m * (n + gap), seed + 2),
    cStride: n + gap,
  };
}

/**
 * The largest error in parts of what it may be: each of the k products and sums in F32 is off by 2^-24 at most. Infinite if
 * something changed that is not of the product.
 */
function errorOf(
  shape: Case,
  inputs: GemmParams & { readonly cStride: number },
  before: Float32Array,
): number {
  const { m, n, k, alpha, accumulate } = shape;
  const a = elementsOf(inputs.a, inputs.aStride!, shape.transposeA);
  const b = elementsOf(inputs.b, inputs.bStride!, shape.transposeB);
  let worst = 0;
  for (let row = 0; row < m; row++) {
    for (let column = 0; column < inputs.cStride; column++) {
      const at = row * inputs.cStride + column;
      if (column >= n) {
        if (inputs.c[at] !== before[at]) return Infinity;
        continue;
      }
      const { sum, magnitude } = dot(
        k,
        (i) => a(row, i),
        (i) => b(i, column),
      );
      const start = accumulate ? before[at]! : 0;
      const bound = (Math.abs(alpha) * magnitude + Math.abs(start)) * (k + 4) * 2 ** -24;
      const error = Math.abs(inputs.c[at]! - (start + alpha * sum));
      worst = Math.max(worst, bound === 0 ? error : error / bound);
    }
  }
  return worst;
}

describe("gemm", () => {
  it("is the product, for all transposes, strides and odd sizes", () => {
    const size = fc.constantFrom(0, 1, 2, 7, 11, 12, 13, 31, 33, 48, 67);
    const shapes = fc.record({
      m: size,
      n: size,
      k: fc.constantFrom(0, 1, 3, 17, 31, 64, 257),
      transposeA: fc.boolean(),
      transposeB: fc.boolean(),
      accumulate: fc.boolean(),
      alpha: fc.constantFrom(1, -1, 0.37),
      gap: fc.constantFrom(0, 1, 5),
    });
    fc.assert(
      fc.property(shapes, fc.nat(1000), (shape, seed) => {
        for (const { math } of all) {
          const inputs = inputsOf(shape, seed);
          const before = inputs.c.slice();
          math.gemm(inputs);
          expect(errorOf(shape, inputs, before)).toBeLessThanOrEqual(1);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("is the product when blocks are more than one in each direction", () => {
    const shape = { transposeA: false, transposeB: true, accumulate: false, alpha: 1, gap: 0 };
    for (const size of [
      { m: 487, n: 37, k: 300 },
      { m: 5, n: 2089, k: 521 },
    ]) {
      for (const { math } of all) {
        const inputs = inputsOf({ ...shape, ...size }, 5);
        math.gemm(inputs);
        expect(errorOf({ ...shape, ...size }, inputs, inputs.c.slice())).toBeLessThanOrEqual(1);
      }
    }
  });

  it("agrees to the bit among instruction sets with fused multiply-add, and among those without", () => {
    const shape = { m: 61, n: 83, k: 700, transposeA: false, transposeB: true };
    const results = all.map(({ math, info }) => {
      const inputs = inputsOf({ ...shape, accumulate: true, alpha: 0.5, gap: 3 }, 9);
      math.gemm(inputs);
      return { fused: FUSED.has(info.isa), c: inputs.c };
    });
    for (const { fused, c } of results) {
      expect(sameBits(c, results.find((other) => other.fused === fused)!.c)).toBe(true);
    }
  });

  it("does not depend on how the product is divided", () => {
    const [m, n, k] = [70, 2100, 300];
    const a = gaussian(m * k, 1);
    const b = gaussian(n * k, 2);
    for (const { math } of all) {
      const whole = new Float32Array(m * n);
      math.gemm({ m, n, k, a, b, transposeB: true, c: whole });
      const parts = new Float32Array(m * n);
      for (const [firstRow, endRow] of [
        [0, 1],
        [1, 30],
        [30, m],
      ] as const) {
        for (const [first, end] of [
          [0, 33],
          [33, 2052],
          [2052, n],
        ] as const) {
          math.gemm({
            m: endRow - firstRow,
            n: end - first,
            k,
            a: a.subarray(firstRow * k),
            b: b.subarray(first * k),
            transposeB: true,
            c: parts.subarray(firstRow * n + first),
            cStride: n,
          });
        }
      }
      expect(sameBits(parts, whole)).toBe(true);
    }
  });

  it("gives few rows what it gives them among many", () => {
    const [m, n, k] = [24, 37, 515];
    const shapes = fc.record({
      rows: fc.integer({ min: 1, max: 10 }),
      firstRow: fc.nat(14),
      n: fc.constantFrom(1, 5, 16, n),
      k: fc.constantFrom(1, 3, 16, 255, 256, 261, k),
      transposeA: fc.boolean(),
      accumulate: fc.boolean(),
      alpha: fc.constantFrom(1, 0.37),
    });
    fc.assert(
      fc.property(shapes, fc.nat(1000), ({ rows, firstRow, ...shape }, seed) => {
        const a = gaussian(m * k, seed);
        const b = gaussian(n * k, seed + 1);
        const c = gaussian(m * n, seed + 2);
        const strides = { aStride: shape.transposeA ? m : k, bStride: k, cStride: n, transposeB: true };
        for (const { math } of all) {
          const [whole, part] = [c.slice(), c.slice()];
          math.gemm({ ...shape, ...strides, m, a, b, c: whole });
          const offset = shape.transposeA ? firstRow : firstRow * k;
          const [from, to] = [a.subarray(offset), part.subarray(firstRow * n)];
          math.gemm({ ...shape, ...strides, m: rows, a: from, b, c: to });
          // The other rows are those of before.
          whole.set(c.subarray(0, firstRow * n));
          whole.set(c.subarray((firstRow + rows) * n), (firstRow + rows) * n);
          expect(sameBits(part, whole)).toBe(true);
        }
      }),
      { numRuns: 100 },
    );
  });

  it("takes weights of every type as their dequantized values, whichever way they lie, at any address", () => {
    const [m, n, k] = [13, 40, 512];
    const few = 3;
    const errors = gaussian(m * n, 3);
    const weights = gaussian(n * k, 4).map((value) => value / 16);
    const importance = new Float32Array(k).fill(1);
    for (const kernels of all) {
      for (const type of kernels.types) {
        const bytes = new Uint8Array(1 + n * rowSize(type, k)).subarray(1);
        kernels.quantize({
          type,
          sourceType: "F32",
          source: bytesOf(weights),
          target: bytes,
          rows: n,
          columns: k,
          importance,
        });
        const b = new Float32Array(n * k);
        kernels.dequantize({ type, source: bytes, target: b, rows: n, columns: k });
        const [x, wanted, found] = [gaussian(m * k, 5), new Float32Array(m * n), new Float32Array(m * n)];
        kernels.math.gemm({ m, n, k, a: x, b, transposeB: true, c: wanted });
        kernels.math.gemm({ m, n, k, a: x, b: bytes, bType: type, transposeB: true, c: found });
        expect(sameBits(found, wanted)).toBe(true);
        found.fill(NaN, 0, few * n);
        kernels.math.gemm({ m: few, n, k, a: x, b: bytes, bType: type, transposeB: true, c: found });
        expect(sameBits(found, wanted)).toBe(true);

        const [wantedBack, foundBack] = [new Float32Array(m * k), new Float32Array(m * k)];
        kernels.math.gemm({ m, n: k, k: n, a: errors, b, c: wantedBack });
        kernels.math.gemm({ m, n: k, k: n, a: errors, b: bytes, bType: type, c: foundBack });
        expect(sameBits(foundBack, wantedBack)).toBe(true);
      }
    }
  });

  it("carries NaN and infinities to the elements that depend on them, and to no others", () => {
    const [m, n, k] = [15, 35, 20];
    for (const { math } of all) {
      const a = gaussian(m * k, 6);
      const b = gaussian(n * k, 7);
      a[4 * k + 3] = NaN;
      b[9 * k + 8] = Infinity;
      const c = new Float32Array(m * n).fill(NaN);
      math.gemm({ m, n, k, a, b, transposeB: true, c });
      const odd = [...c.entries()].filter(([, value]) => !Number.isFinite(value)).map(([at]) => at);
      const expected = [...c.keys()].filter((at) => Math.floor(at / n) === 4 || at % n === 9);
      expect(odd).toEqual(expected);
    }
  });

  it("works on shared memory", () => {
    for (const { math } of all) {
      const [a, b, c] = [6, 8, 12].map((length) => new Float32Array(new SharedArrayBuffer(4 * length)));
      a!.set([1, 2, 3, 4, 5, 6]);
      b!.set([1, 0, 0, 1, 1, 1, 2, 0]);
      math.gemm({ m: 3, n: 4, k: 2, a: a!, b: b!, transposeB: true, c: c! });
      expect([...c!]).toEqual([1, 2, 3, 2, 3, 4, 7, 6, 5, 6, 11, 10]);
    }
  });

  it("gives the same in pieces, where Wasm does not copy all weights at once", () => {
    const wasm = all.find(({ info }) => info.backend === "wasm")!;
    const [m, n, k] = [3, 700, 8192];
    const [a, b] = [gaussian(m * k, 8), gaussian(n * k, 9)];
    const [whole, rows] = [new Float32Array(m * n), new Float32Array(m * n)];
    expect(b.byteLength).toBeGreaterThan(1 << 24);
    wasm.math.gemm({ m, n, k, a, b, transposeB: true, c: whole });
    for (let row = 0; row < n; row++) {
      const part = { b: b.subarray(row * k), c: rows.subarray(row), cStride: n };
      wasm.math.gemm({ m, n: 1, k, a, transposeB: true, ...part });
    }
    expect(sameBits(whole, rows)).toBe(true);
    const across = new Float32Array(m * n);
    const turned = new Float32Array(n * k);
    for (let i = 0; i < n; i++) for (let j = 0; j < k; j++) turned[j * n + i] = b[i * k + j]!;
    wasm.math.gemm({ m, n, k, a, b: turned, c: across });
    expect(sameBits(across, whole)).toBe(true);
  });
});
