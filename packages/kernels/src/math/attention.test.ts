import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import type { AttentionParams, Kernels } from "../index.ts";
import { sameBits, FUSED, gaussian } from "../testing/arrays.ts";
import { allKernels } from "../testing/backends.ts";
import { elementsOf, referenceAttention } from "../testing/reference-math.ts";

let all: readonly Kernels[];
beforeAll(async () => {
  all = await allKernels();
});

type Shape = Omit<AttentionParams, "q" | "k" | "v" | "y" | "sinks"> & {
  readonly valueSize: number;
  readonly gap: number;
  readonly hasSinks: boolean;
};

function inputsOf(shape: Shape, seed: number) {
  const { tokens, keys, heads, kvHeads, headSize, valueSize, gap, hasSinks } = shape;
  const strides = {
    qStride: heads * headSize + gap,
    kStride: kvHeads * headSize + gap,
    vStride: kvHeads * valueSize + gap,
    yStride: heads * valueSize + gap,
  };
  return {
    ...shape,
    ...strides,
    q: gaussian(tokens * strides.qStride, seed),
    k: gaussian(keys * strides.kStride, seed + 1),
    v: gaussian(keys * strides.vStride, seed + 2),
    y: new Float32Array(tokens * strides.yStride).fill(7),
    sinks: hasSinks ? gaussian(heads, seed + 3) : undefined,
  };
}

const shapes: fc.Arbitrary<Shape> = fc
  .record({
    tokens: fc.constantFrom(0, 1, 2, 7, 33, 70),
    keys: fc.constantFrom(0, 1, 5, 33, 80, 300),
    kvHeads: fc.constantFrom(1, 2, 3),
    group: fc.constantFrom(1, 2, 5, 7),
    headSize: fc.constantFrom(1, 8, 33),
    valueSize: fc.constantFrom(1, 8, 17),
    scale: fc.constantFrom(0.3, 1),
    firstPosition: fc.constantFrom(0, 3, 270),
    before: fc.constantFrom(0, 1, 20, Infinity),
    after: fc.constantFrom(0, 2, Infinity),
    softCap: fc.constantFrom(undefined, 3),
    gap: fc.constantFrom(0, 5),
    hasSinks: fc.boolean(),
  })
  .map(({ group, ...rest }) => ({ ...rest, heads: group * rest.kvHeads }));

describe("attention", () => {
  it("is that of its definition, for all masks", () => {
    fc.assert(
      fc.property(shapes, fc.nat(1000), (shape, seed) => {
        const inputs = inputsOf(shape, seed);
        const wanted = referenceAttention({
          ...inputs,
          q: elementsOf(inputs.q, inputs.qStride),
          k: elementsOf(inputs.k, inputs.kStride),
          v: elementsOf(inputs.v, inputs.vStride),
          firstPosition: shape.firstPosition!,
          before: shape.before!,
          after: shape.after!,
        });
        const width = shape.heads * shape.valueSize;
        for (const { math } of all) {
          const y = inputs.y.slice();
          math.attention({ ...inputs, y });
          let worst = 0;
          for (let token = 0; token < shape.tokens; token++) {
            for (let i = 0; i < inputs.yStride; i++) {
              const found = y[token * inputs.yStride + i]!;
              const error = Math.abs(found - (i < width ? wanted[token * width + i]! : 7));
              worst = Math.max(worst, error);
            }
          }
          expect(worst).toBeLessThan(2e-5);
        }
      }),
      { numRuns: 80 },
    );
  });

  it("does not depend on how tokens and heads are divided, and agrees among instruction sets of a kind", () => {
    for (const before of [Infinity, 300]) {
      const shape = {
        tokens: 700,
        keys: 700,
        heads: 4,
        kvHeads: 2,
        headSize: 16,
        valueSize: 8,
        scale: 0.25,
        before,
        gap: 0,
        hasSinks: true,
        softCap: 20,
      };
      const inputs = inputsOf(shape, 11);
      const results = all.map(({ math, info }) => {
        const whole = inputs.y.slice();
        math.attention({ ...inputs, y: whole });
        const parts = inputs.y.slice();
        for (const [first, end] of [
          [0, 1],
          [1, 290],
          [290, 513],
          [513, 700],
        ] as const) {
          for (const head of [0, 1]) {
            math.attention({
              ...inputs,
              tokens: end - first,
              firstPosition: first,
              heads: 2,
              kvHeads: 1,
              q: inputs.q.subarray(first * inputs.qStride + head * 2 * 16),
              k: inputs.k.subarray(head * 16),
              v: inputs.v.subarray(head * 8),
              y: parts.subarray(first * inputs.yStride + head * 2 * 8),
              sinks: inputs.sinks!.subarray(2 * head),
            });
          }
        }
        expect(sameBits(parts, whole)).toBe(true);
        return { fused: FUSED.has(info.isa), whole };
      });
      for (const { fused, whole } of results) {
        expect(sameBits(whole, results.find((other) => other.fused === fused)!.whole)).toBe(true);
      }
    }
  });

  it("gives zeros to a query that sees no key", () => {
    const shape = { tokens: 2, keys: 3, heads: 1, kvHeads: 1, headSize: 4, valueSize: 4, scale: 1 };
    const inputs = inputsOf({ ...shape, firstPosition: 9, before: 7, gap: 0, hasSinks: true }, 12);
    for (const { math } of all) {
      const y = inputs.y.slice();
      math.attention({ ...inputs, y });
      expect([...y.subarray(4)]).toEqual([0, 0, 0, 0]);
      expect([...y.subarray(0, 4)]).not.toContain(0);
    }
  });
});
