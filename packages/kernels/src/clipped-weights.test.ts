// Clipped weights and vanished groups. Where grids end is found out here by trying codes, for types that the kernels have by a table.
import { describe, expect, it } from "vitest";
import type { Kernels, RowErrors } from "./index.ts";
import { allKernels, blockSize, bytesOf, rowSize } from "./testing/backends.ts";
import { createRandom } from "./testing/random.ts";
import { gaussianWeights } from "./testing/weights.ts";

const kernels = await allKernels();
const [kernel] = kernels as readonly [Kernels, ...Kernels[]];
const blockTypes = kernel.types.filter((type) => blockSize(type) > 1);

/** Weights that share a scale, as ggml-common.h of llama.cpp v0.5.0 describes the blocks; a shift for eight in IQ1_M. */
const GROUPS: Readonly<Record<string, number>> = {
  Q1_0: 128,
  Q2_0: 64,
  TQ1_0: 256,
  TQ2_0: 256,
  Q2_K: 16,
  Q3_K: 16,
  Q6_K: 16,
  IQ1_M: 8,
  IQ2_XS: 16,
  IQ2_S: 16,
  NVFP4: 16,
};
const groupOf = (type: string): number => GROUPS[type] ?? 32;

const BLOCK_COLUMNS = 256;

function valuesOf(type: string, blocks: Uint8Array): Float32Array {
  const target = new Float32Array(BLOCK_COLUMNS);
  kernel.dequantize({ type, source: blocks, target, rows: 1, columns: BLOCK_COLUMNS });
  return target;
}

function quantize(type: string, weights: Float32Array): Uint8Array {
  const target = new Uint8Array(rowSize(type, BLOCK_COLUMNS));
  const shape = { rows: 1, columns: BLOCK_COLUMNS };
  const importance = new Float32Array(BLOCK_COLUMNS).fill(1);
  const source = bytesOf(weights);
  const weighting = kernel.requiresImportance(type) ? { importance } : {};
  expect(
    kernel.quantize({ type, sourceType: "F32", source, target, ...shape, ...weighting }),
  ).toBeUndefined();
  return target;
}

function measure(type: string, weights: Float32Array, quantized: Uint8Array): RowErrors {
  const shape = { rows: 1, columns: BLOCK_COLUMNS };
  return kernel.measureError({ sourceType: "F32", source: bytesOf(weights), type, quantized, ...shape });
}

/** Bits that change few weights, whatever the block: a scale's change most of a group, those of a point at most eight, seldom all. */
function codeBits(type: string): number[] {
  const counts = Array.from({ length: rowSize(type, BLOCK_COLUMNS) * 8 }, () => [] as number[]);
  for (let attempt = 0; attempt < 24; attempt++) {
    const base = quantize(type, gaussianWeights(1, BLOCK_COLUMNS, 100 + attempt).weights);
    const before = valuesOf(type, base);
    for (const [bit, seen] of counts.entries()) {
      const changed = base.slice();
      changed[bit >> 3]! ^= 1 << (bit & 7);
      const count = valuesOf(type, changed).reduce((sum, value, i) => sum + (value === before[i] ? 0 : 1), 0);
      if (count > 0) seen.push(count);
    }
  }
  return counts.flatMap((seen, bit) => (Math.min(...seen) < 8 && Math.max(...seen) <= 8 ? [bit] : []));
}

/** Of each group, the two lowest and the two highest values that any codes give. */
function endsOf(type: string, blocks: Uint8Array): (readonly [number, number, number, number])[] {
  const random = createRandom(7).uniform;
  const bits = codeBits(type);
  const group = groupOf(type);
  const seen = Array.from({ length: BLOCK_COLUMNS / group }, () => new Set<number>());
  for (let attempt = 0; attempt < 1500; attempt++) {
    const changed = blocks.slice();
    for (const bit of bits) if (random() < 0.5) changed[bit >> 3]! ^= 1 << (bit & 7);
    for (const [i, value] of valuesOf(type, changed).entries()) seen[Math.floor(i / group)]!.add(value);
  }
  return seen.map((values) => {
    const sorted = [...values].sort((a, b) => a - b);
    return [sorted[0]!, sorted[1]!, sorted.at(-2)!, sorted.at(-1)!] as const;
  });
}

describe.each(blockTypes)("%s", (type) => {
  const group = groupOf(type);
  const { weights } = gaussianWeights(1, BLOCK_COLUMNS, 3);
  const blocks = quantize(type, weights);

  it("counts weights more than half a step outside of what codes reach, and no others", () => {
    const ends = endsOf(type, blocks);
    const at = (share: number): [Float32Array, Float32Array] => [
      weights.map((_, i) => {
        const [lowest, second] = ends[Math.floor(i / group)]!;
        return lowest - (second - lowest) * share;
      }),
      weights.map((_, i) => {
        const [, , second, highest] = ends[Math.floor(i / group)]!;
        return highest + (highest - second) * share;
      }),
    ];
    for (const inside of at(0.499)) expect(measure(type, inside, blocks).clipped[0]).toBe(0);
    for (const outside of at(0.501)) expect(measure(type, outside, blocks).clipped[0]).toBe(BLOCK_COLUMNS);
    const mixed = at(0.501)[0].map((weight, i) => (i % 5 === 0 ? weight : 0));
    expect(measure(type, mixed, blocks).clipped[0]).toBe(Math.ceil(BLOCK_COLUMNS / 5));
  });

  it("never counts a weight that a code stands for", () => {
    expect(measure(type, valuesOf(type, blocks), blocks).clipped[0]).toBe(0);
  });

  it("counts groups that vanished, but not those that were zero", () => {
    const zeros = quantize(type, new Float32Array(BLOCK_COLUMNS));
    if (valuesOf(type, zeros).some((value) => value !== 0)) return;
    const groups = BLOCK_COLUMNS / group;
    expect(measure(type, weights, zeros)).toMatchObject({
      vanished: Float64Array.of(groups),
      groups: Float64Array.of(groups),
    });
    const first = weights.map((weight, i) => (i < group ? weight : 0));
    expect(measure(type, first, zeros).vanished[0]).toBe(1);
    expect(measure(type, weights, blocks).vanished[0]).toBe(0);
  });
});
