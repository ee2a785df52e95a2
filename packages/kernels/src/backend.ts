import type { KernelBackend, QuantizeFault, RowErrors } from "./kernels.ts";
import type { MathBackend } from "./math/call.ts";

/** A row of the table of types in csrc/kernels.c. */
export interface KernelType {
  readonly name: string;
  /** Elements. */
  readonly blockSize: number;
  /** Bytes of a block. */
  readonly typeSize: number;
  /** Whether `quantize` writes it; weights come in any type. */
  readonly writable: boolean;
  readonly requiresImportance: boolean;
}

/** The compiled kernels as they are called: types are indices, and nothing is checked. */
export interface Backend {
  readonly backend: KernelBackend;
  readonly isa: string;
  readonly types: readonly KernelType[];
  quantize(params: BackendQuantizeParams): QuantizeFault | undefined;
  dequantize(params: BackendDequantizeParams): void;
  measureError(params: BackendMeasureParams): RowErrors;
  readonly math: MathBackend;
}

interface BackendQuantizeParams {
  /** Index in `types`. */
  readonly type: number;
  /** Index in `types`. */
  readonly sourceType: number;
  readonly source: Uint8Array;
  readonly target: Uint8Array;
  readonly rows: number;
  readonly columns: number;
  readonly importance: Float32Array | undefined;
}

interface BackendDequantizeParams {
  readonly type: number;
  readonly source: Uint8Array;
  readonly target: Float32Array;
  readonly rows: number;
  readonly columns: number;
}

interface BackendMeasureParams {
  readonly type: number;
  readonly sourceType: number;
  readonly source: Uint8Array;
  readonly quantized: Uint8Array;
  readonly rows: number;
  readonly columns: number;
  readonly importance: Float32Array | undefined;
}
