import type { Kernels } from "@quern/kernels";
import type { Slab } from "./slab.ts";
import { weightError } from "./weight-error.ts";

/**
 * Checks rows that are copied, where kernels know their type: a scale that is infinite or NaN spoils its block.
 *
 * @throws QuernError `WEIGHT_NOT_FINITE`
 */
export function checkCopied(params: { slab: Slab; source: Uint8Array; kernels: Kernels }): void {
  const { slab, source, kernels } = params;
  const { weightType: type, rows, columns } = slab;
  if (!kernels.sourceTypes.includes(type)) return;
  const { squaredWeights } = kernels.measureError({
    sourceType: type,
    source,
    type,
    quantized: source,
    rows,
    columns,
  });
  const row = squaredWeights.findIndex((sum) => !Number.isFinite(sum));
  if (row < 0) return;
  const rowSize = source.byteLength / rows;
  const target = new Float32Array(columns);
  const bytes = source.subarray(row * rowSize, (row + 1) * rowSize);
  kernels.dequantize({ type, source: bytes, target, rows: 1, columns });
  const column = target.findIndex((weight) => !Number.isFinite(weight));
  throw weightError({ slab, type, passing: false, fault: "not-finite", index: row * columns + column });
}
