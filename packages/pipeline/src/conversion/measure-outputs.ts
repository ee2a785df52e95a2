import type { Kernels } from "@quern/kernels";
import { hessianForms, type ReadHessianRows } from "./hessian-forms.ts";
import type { LaneBuffers } from "./lane-buffers.ts";
import type { OutputRows, Slab } from "./slab.ts";

/** Reads rows of the lower triangle of the Hessian of a module's matrix. */
export type HessianReader = (request: {
  readonly module: string;
  readonly matrix: number;
  readonly start: number;
  readonly count: number;
}) => Promise<Float32Array>;

/** What conversions of a slab did to the outputs of its layer, on all inputs of the calibration text. */
export async function measureOutputs(params: {
  readonly slab: Slab;
  /** Module of the statistics file. */
  readonly module: string;
  /** Rows as they came. */
  readonly source: Uint8Array;
  /** Rows of each conversion, by its position; of those that are measured. */
  readonly converted: ReadonlyMap<number, Uint8Array>;
  readonly readHessian: HessianReader;
  readonly kernels: Kernels;
  readonly buffers: LaneBuffers;
}): Promise<OutputRows[]> {
  const { slab, module, source, converted, readHessian, kernels, buffers } = params;
  const { rows, columns, weightType, conversions } = slab;
  const floats = (use: string, type: string, bytes: Uint8Array): Float32Array => {
    const target = buffers.takeFloats(use, rows * columns);
    kernels.dequantize({ type, source: bytes, target, rows, columns });
    return target;
  };
  const weights = floats("weights", weightType, source);
  const changes = Array.from(converted, ([index, bytes]) => {
    const x = floats(`changes ${index}`, conversions[index]!.type, bytes);
    kernels.math.addScaled({ x: weights, y: x, alpha: -1 });
    return x;
  });
  const found: OutputRows[] = [];
  for (const { matrix, start, count } of matricesOf(slab)) {
    const part = (matrix: Float32Array): Float32Array =>
      matrix.subarray(start * columns, (start + count) * columns);
    const read: ReadHessianRows = (start, count) => readHessian({ module, matrix, start, count });
    const [squaredWeights, ...squaredErrors] = await hessianForms({
      matrices: [weights, ...changes].map(part),
      rows: count,
      columns,
      read,
      math: kernels.math,
      buffers,
    });
    for (const [position, conversion] of [...converted.keys()].entries()) {
      found.push({
        conversion,
        firstRow: slab.firstRow + start,
        squaredErrors: squaredErrors[position]!,
        squaredWeights: squaredWeights!,
      });
    }
  }
  return found;
}

/** The matrices that rows of a slab belong to, and which rows of the slab these are. */
export function* matricesOf({
  matrixRows,
  firstRow,
  rows,
}: Pick<Slab, "matrixRows" | "firstRow" | "rows">): Generator<{
  matrix: number;
  start: number;
  count: number;
}> {
  for (let start = 0; start < rows;) {
    const row = firstRow + start;
    const count = Math.min(rows - start, matrixRows - (row % matrixRows));
    yield { matrix: Math.floor(row / matrixRows), start, count };
    start += count;
  }
}
