// Quantized blocks as a source: what comes out is what dequantizing all of them and quantizing the floats gives.
import { describe, expect, it } from "vitest";
import type { Kernels } from "./index.ts";
import { allKernels, blockSize, bytesOf, rowSize, weightingsOf } from "./testing/backends.ts";
import { findGgmlLibrary, largestWeight, openGgmlLibrary, type GgmlType } from "./testing/ggml-library.ts";
import { edgeWeights, gaussianWeights, type WeightSet } from "./testing/weights.ts";

const kernels = await allKernels();
const types = kernels[0]!.types;
const library = findGgmlLibrary();
const reason = "missing" in library ? ` (skipped: ${library.missing})` : "";

/** Rows of the usual and of odd lengths; the first are more than the kernels convert at a time. */
function setsUpTo(largest: number): readonly WeightSet[] {
  return [gaussianWeights(9, 2048, 1), gaussianWeights(17, 256, 2), edgeWeights(5, 1280, 3, largest)];
}

function quantizeFloats(
  kernel: Kernels,
  type: string,
  { weights, rows, columns, importance: given }: WeightSet,
): Uint8Array {
  const target = new Uint8Array(rows * rowSize(type, columns));
  const importance = weightingsOf(kernel, type, given)[0];
  kernel.quantize({ type, sourceType: "F32", source: bytesOf(weights), target, rows, columns, importance });
  return target;
}

describe.skipIf(reason)(`every type from every type${reason}`, () => {
  const ggml = "path" in library ? openGgmlLibrary(library.path) : (undefined as never);

  /** What differs where weights from blocks of one type are quantized to others. */
  function compare(sourceType: string, targets: readonly string[], set: WeightSet): string[] {
    const differing: string[] = [];
    const { name, weights, rows, columns, importance } = set;
    const source = new Uint8Array(rows * rowSize(sourceType, columns));
    const floats = new Float32Array(rows * columns);
    ggml.quantize({
      type: sourceType as GgmlType,
      source: weights,
      target: source,
      rows,
      columns,
      importance: weightingsOf(kernels[0]!, sourceType, importance)[0],
    });
    ggml.dequantize(sourceType as GgmlType, source, floats);
    const bad = floats.findIndex((value) => !Number.isFinite(value));
    for (const type of targets) {
      for (const weighting of weightingsOf(kernels[0]!, type, importance)) {
        const expected = new Uint8Array(rows * rowSize(type, columns));
        if (bad < 0) {
          const shape = { type: type as GgmlType, rows, columns, importance: weighting };
          ggml.quantize({ ...shape, source: floats, target: expected });
        }
        for (const { info, quantize } of kernels) {
          const target = new Uint8Array(expected.length);
          const fault = quantize({ type, sourceType, source, target, rows, columns, importance: weighting });
          // Blocks that overflowed are no sound source.
          const good =
            bad < 0
              ? Buffer.compare(target, expected) === 0
              : fault?.fault === "not-finite" && fault.index === bad;
          if (!good) differing.push(`${info.isa} to ${type}, ${name} ${rows} x ${columns}`);
        }
      }
    }
    return differing;
  }

  it.each(types)("%s: the bytes of ggml after it dequantized all rows", (sourceType) => {
    const largest = (type: string): number =>
      Math.min(largestWeight(sourceType as GgmlType), largestWeight(type as GgmlType));
    for (const limit of new Set(types.map(largest))) {
      const targets = types.filter((type) => largest(type) === limit);
      for (const set of setsUpTo(limit)) expect(compare(sourceType, targets, set)).toEqual([]);
    }
  });
});

describe.each(kernels)("requantizing with $info.isa kernels", (kernel) => {
  it.each(types)("%s: reads blocks at any alignment, and row by row", (sourceType) => {
    const set = gaussianWeights(7, 2304, 6);
    const { rows, columns, importance } = set;
    const aligned = quantizeFloats(kernel, sourceType, set);
    const shifted = new Uint8Array(aligned.length + 1).subarray(1);
    shifted.set(aligned);
    const sourceRow = rowSize(sourceType, columns);
    for (const type of types) {
      const size = rowSize(type, columns);
      const whole = new Uint8Array(rows * size);
      const single = new Uint8Array(rows * size);
      const shape = { type, sourceType, columns, importance };
      expect(kernel.quantize({ ...shape, rows, source: aligned, target: whole })).toBeUndefined();
      for (let row = 0; row < rows; row++) {
        const source = shifted.subarray(row * sourceRow, (row + 1) * sourceRow);
        const target = single.subarray(row * size, (row + 1) * size);
        expect(kernel.quantize({ ...shape, rows: 1, source, target })).toBeUndefined();
      }
      expect(Buffer.compare(single, whole)).toBe(0);
    }
  });

  it.each(types.filter((type) => blockSize(type) > 1))(
    "%s: says where blocks hold what is not finite",
    (sourceType) => {
      const [rows, columns, bad] = [40, 1024, 30 * 1024 + 512];
      const weights = new Float32Array(rows * columns);
      // More than the largest scale of every type can carry.
      weights.fill(-3.4e38, bad, bad + 256);
      const blocks = new Uint8Array(rows * rowSize(sourceType, columns));
      const shape = { rows, columns };
      const params = {
        ...shape,
        type: sourceType,
        sourceType: "F32",
        source: bytesOf(weights),
        target: blocks,
        importance: weightingsOf(kernel, sourceType, new Float32Array(columns).fill(1))[0],
      };
      const fault = kernel.quantize(params);
      const again = kernel.quantize({
        ...shape,
        // What is finite fits.
        type: "F32",
        sourceType,
        source: blocks,
        target: new Uint8Array(rows * rowSize("F32", columns)),
      });
      expect(again).toEqual(fault && { fault: "not-finite", index: bad });
    },
  );
});
