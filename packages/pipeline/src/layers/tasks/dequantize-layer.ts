import { dequantizeMatrix, type QuantizedMatrix } from "@quern/quantize";

/** Puts what codes mean into shared memory. */
export interface DequantizeTask {
  readonly kind: "dequantize";
  /** For reports. */
  readonly tensor: string;
  readonly matrix: QuantizedMatrix;
  /** rows x columns */
  readonly into: Float32Array;
}

export function dequantizeLayer({ matrix, into }: DequantizeTask): undefined {
  into.set(dequantizeMatrix(matrix));
}
