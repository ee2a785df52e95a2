import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import type { Kernels, MathKernels } from "../index.ts";
import { sameBits, FUSED, gaussian } from "../testing/arrays.ts";
import { allKernels } from "../testing/backends.ts";
import { createRandom } from "../testing/random.ts";
import { dot, elementsOf } from "../testing/reference-math.ts";

let all: readonly Kernels[];
beforeAll(async () => {
  all = await allKernels();
});

/** One unit of the bound of `syrk`. */
const UNIT = 2 ** -24;

describe("syrk", () => {
  it("adds x^T x to the lower triangle, within the bound of sums of 256 terms, however many tokens", () => {
    const shapes = fc.record({
      tokens: fc.constantFrom(0, 1, 7, 255, 256, 257, 700),
      n: fc.constantFrom(0, 1, 7, 31, 33, 67),
      gap: fc.constantFrom(0, 3),
    });
    fc.assert(
      fc.property(shapes, fc.nat(1000), ({ tokens, n, gap }, seed) => {
        const xStride = n + gap;
        const x = gaussian(tokens * xStride, seed);
        const before = Float64Array.from(gaussian(n * n, seed + 1));
        const column = elementsOf(x, xStride, true);
        for (const { math } of all) {
          const h = before.slice();
          math.syrk({ x, xStride, tokens, n, h });
          let worst = 0;
          for (let i = 0; i < n; i++) {
            for (let j = 0; j < n; j++) {
              const at = i * n + j;
              if (j > i) {
                if (h[at] !== before[at]) worst = Infinity;
                continue;
              }
              const { sum, magnitude } = dot(
                tokens,
                (k) => column(i, k),
                (k) => column(j, k),
              );
              const bound = 257 * UNIT * magnitude + 1e-12;
              worst = Math.max(worst, Math.abs(h[at]! - (before[at]! + sum)) / bound);
            }
          }
          expect(worst).toBeLessThanOrEqual(1);
        }
      }),
      { numRuns: 40 },
    );
  });

  it("does not lose small tokens after large ones", () => {
    const tokens = 256 * 40;
    const x = new Float32Array(tokens).fill(2 ** -6).fill(2 ** 12, 0, 256);
    for (const { math } of all) {
      const h = new Float64Array(1);
      math.syrk({ x, tokens, n: 1, h });
      expect(h[0]).toBe(256 * 2 ** 24 + (tokens - 256) * 2 ** -12);
    }
  });

  it("does not depend on how rows are divided, nor on calls with multiples of 256 tokens", () => {
    const [tokens, n] = [512 + 100, 300];
    const x = gaussian(tokens * n, 3);
    for (const { math } of all) {
      const whole = new Float64Array(n * n);
      math.syrk({ x, tokens, n, h: whole });
      const parts = new Float64Array(n * n);
      for (const [firstRow, rows] of [
        [0, 1],
        [1, 130],
        [131, 169],
      ] as const) {
        const slice = { h: new Float64Array(rows * n), n, firstRow, rows };
        math.syrk({ x, tokens: 512, ...slice });
        math.syrk({ x: x.subarray(512 * n), tokens: 100, ...slice });
        parts.set(slice.h, firstRow * n);
      }
      expect(sameBits(parts, whole)).toBe(true);
    }
  });

  it("agrees to the bit among instruction sets with fused multiply-add, and among those without", () => {
    const [tokens, n] = [300, 100];
    const x = gaussian(tokens * n, 4);
    const results = all.map(({ math, info }) => {
      const h = new Float64Array(n * n);
      math.syrk({ x, tokens, n, h });
      return { fused: FUSED.has(info.isa), h };
    });
    for (const { fused, h } of results) {
      expect(sameBits(h, results.find((other) => other.fused === fused)!.h)).toBe(true);
    }
  });
});

/** Eigenvalues of about 1 to `condition`. Above the diagonal there is nothing of use. */
function positiveDefinite(n: number, seed: number, condition = 100): Float64Array {
  const random = createRandom(seed);
  const rows = Array.from({ length: n }, () => Float64Array.from({ length: n }, () => random.gaussian()));
  const matrix = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      const { sum } = dot(
        n,
        (k) => rows[i]![k]!,
        (k) => rows[j]![k]!,
      );
      matrix[i * n + j] = j > i ? NaN : (sum * condition) / (4 * n) + (i === j ? 1 : 0);
    }
  }
  return matrix;
}

/** The largest difference of a product from the symmetric matrix whose lower triangle this is. */
function residual(
  n: number,
  left: (i: number, k: number) => number,
  right: (k: number, j: number) => number,
  lower: (i: number, j: number) => number,
): number {
  let worst = 0;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      const { sum } = dot(
        n,
        (k) => left(i, k),
        (k) => right(k, j),
      );
      worst = Math.max(worst, Math.abs(sum - lower(i, j)));
    }
  }
  return worst;
}

const SIZES = [0, 1, 2, 7, 31, 63, 64, 65, 128, 131, 200];

describe("cholesky", () => {
  it("factorizes, with zeros above", () => {
    for (const n of SIZES) {
      const original = positiveDefinite(n, n + 1);
      for (const { math } of all) {
        const matrix = original.slice();
        expect(math.cholesky({ matrix, n })).toBeUndefined();
        const l = elementsOf(matrix, n);
        const transposed = elementsOf(matrix, n, true);
        expect(residual(n, l, transposed, elementsOf(original, n))).toBeLessThan(1e-11);
        expect(above(matrix, n)).toBe(0);
      }
    }
  });

  it("factorizes with products in F32, nearly as well", () => {
    // More than two blocks of what is summed in F32, in the largest.
    for (const n of [...SIZES, 1200]) {
      const original = Float64Array.from({ length: n * n }, (_, at) => {
        const distance = Math.abs(Math.floor(at / n) - (at % n));
        return 0.9 ** distance + (distance === 0 ? 0.01 : 0);
      });
      const exact = original.slice();
      all[0]!.math.cholesky({ matrix: exact, n });
      const results = all.map(({ math }) => {
        const matrix = original.slice();
        expect(math.cholesky({ matrix, n, products: "F32" })).toBeUndefined();
        return matrix;
      });
      for (const matrix of results) {
        const worst = matrix.reduce((most, value, at) => Math.max(most, Math.abs(value - exact[at]!)), 0);
        expect(worst).toBeLessThan(1e-5);
        expect(above(matrix, n)).toBe(0);
      }
      // Those without fused multiply-add are one group, all others another.
      const different = results.filter(
        (matrix, i) => results.findIndex((other) => sameBits(matrix, other)) === i,
      );
      expect(different.length).toBeLessThanOrEqual(2);
    }
  });

  it("takes pivots that F32 cannot tell from 0 for none", () => {
    const n = 150;
    const original = new Float64Array(n * n);
    // Column 149 is column 0 but for one part in ten million.
    for (let i = 0; i < n; i++) original[i * (n + 1)] = 1;
    original[149 * n] = 1;
    original[149 * n + 149] = 1 + 1e-7;
    for (const { math } of all) {
      expect(math.cholesky({ matrix: original.slice(), n, products: "F32" })).toBe(149);
      expect(math.cholesky({ matrix: original.slice(), n })).toBeUndefined();
    }
  });

  it("says where a matrix is not positive definite", () => {
    const n = 150;
    for (const bad of [0, 63, 64, 149]) {
      for (const value of [-1, 0, NaN, Infinity]) {
        const original = positiveDefinite(n, 7);
        original[bad * n + bad] = value;
        for (const { math } of all) {
          expect(math.cholesky({ matrix: original.slice(), n })).toBe(bad);
          expect(math.choleskyOfInverse({ matrix: original.slice(), n })).toBeGreaterThanOrEqual(0);
          expect(math.invert({ matrix: original.slice(), n })).toBe(bad);
        }
      }
    }
  });
});

describe("choleskyOfInverse", () => {
  it("gives the upper factor of the inverse, with zeros below", () => {
    for (const n of SIZES) {
      const original = positiveDefinite(n, n + 2);
      for (const { math } of all) {
        const matrix = original.slice();
        expect(math.choleskyOfInverse({ matrix, n })).toBeUndefined();
        expect(below(matrix, n)).toBe(0);
        // The factor of the inverse is what comes of the inverse, too.
        const inverse = symmetric(inverseOf(math, original, n), n);
        expect(residual(n, elementsOf(matrix, n, true), elementsOf(matrix, n), inverse)).toBeLessThan(1e-11);
        for (let i = 0; i < n; i++) expect(matrix[i * n + i]).toBeGreaterThan(0);
      }
    }
  });

  it("counts the index of a bad pivot in the order of the matrix", () => {
    const n = 100;
    const original = positiveDefinite(n, 8);
    original[20 * n + 20] = -1;
    for (const { math } of all) expect(math.choleskyOfInverse({ matrix: original.slice(), n })).toBe(20);
  });
});

function inverseOf(math: MathKernels, original: Float64Array, n: number): Float64Array {
  const matrix = original.slice();
  math.invert({ matrix, n });
  return matrix;
}

describe("invert", () => {
  it("gives the inverse, symmetric to the bit", () => {
    for (const n of SIZES) {
      const original = positiveDefinite(n, n + 3);
      for (const { math } of all) {
        const inverse = inverseOf(math, original, n);
        const identity = (i: number, j: number): number => Number(i === j);
        expect(residual(n, symmetric(original, n), elementsOf(inverse, n), identity)).toBeLessThan(1e-11);
        for (let i = 0; i < n; i++) {
          for (let j = 0; j < i; j++) expect(inverse[j * n + i]).toBe(inverse[i * n + j]);
        }
      }
    }
  });
});

describe("solve", () => {
  it("solves for any number of right-hand sides", () => {
    for (const n of SIZES) {
      const original = positiveDefinite(n, n + 4);
      for (const columns of [0, 1, 3, 150]) {
        const sides = Float64Array.from(gaussian(n * columns, 5));
        for (const { math } of all) {
          const factor = original.slice();
          math.cholesky({ matrix: factor, n });
          const b = sides.slice();
          math.solve({ factor, n, b, columns });
          const a = symmetric(original, n);
          let worst = 0;
          for (let i = 0; i < n; i++) {
            for (let j = 0; j < columns; j++) {
              const { sum } = dot(
                n,
                (k) => a(i, k),
                (k) => b[k * columns + j]!,
              );
              worst = Math.max(worst, Math.abs(sum - sides[i * columns + j]!));
            }
          }
          expect(worst).toBeLessThan(1e-10);
        }
      }
    }
  });
});

describe("mirror", () => {
  it("copies the lower triangle to the upper one", () => {
    for (const n of SIZES) {
      const original = positiveDefinite(n, n + 5);
      for (const { math } of all) {
        const matrix = original.slice();
        math.mirror({ matrix, n });
        const wanted = Float64Array.from({ length: n * n }, (_, at) =>
          symmetric(original, n)(Math.floor(at / n), at % n),
        );
        expect(sameBits(matrix, wanted)).toBe(true);
      }
    }
  });
});

function symmetric(matrix: Float64Array, n: number): (i: number, j: number) => number {
  return (i, j) => (j > i ? matrix[j * n + i]! : matrix[i * n + j]!);
}

function above(matrix: Float64Array, n: number): number {
  const outside = (at: number): boolean => at % n > Math.floor(at / n);
  return matrix.reduce((most, value, at) => (outside(at) ? Math.max(most, Math.abs(value)) : most), 0);
}

function below(matrix: Float64Array, n: number): number {
  return Math.max(0, ...matrix.map((value, at) => (at % n < Math.floor(at / n) ? Math.abs(value) : 0)));
}
