import type { KernelBackend, QuantizeFault } from "./kernels.ts";

/** A row of the table of types in csrc/kernels.c. */
export interface KernelType {
  readonly name: string;
  /** Elements. */
  readonly blockSize: number;
  /** Bytes of a block. */
  readonly typeSize: number;
  readonly requiresImportance: boolean;
}

/** An element type that weights come in. */
export interface KernelSource {
  readonly name: string;
  /** Bytes of an element. */
  readonly size: number;
}

/** The compiled kernels as they are called: types are indices, and nothing is checked. */
export interface Backend {
  readonly backend: KernelBackend;
  readonly isa: string;
  readonly types: readonly KernelType[];
  readonly sourceTypes: readonly KernelSource[];
  quantize(params: BackendQuantizeParams): QuantizeFault | undefined;
  dequantize(params: BackendDequantizeParams): void;
}

interface BackendQuantizeParams {
  /** Index in `types`. */
  readonly type: number;
  /** Index in `sourceTypes`. */
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
