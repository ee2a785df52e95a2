import type { ElementType } from "@quern/tensor";
import type { MathKernels } from "./math/math-kernels.ts";
import type { WasmSource } from "./wasm/wasm-module.ts";

export type { WasmSource };

/** Element types of checkpoints that kernels read. */
export type KernelSourceType = Extract<ElementType, "F64" | "F32" | "F16" | "BF16" | "F8_E4M3" | "F8_E5M2">;

export type KernelBackend = "native" | "wasm";

export interface KernelInfo {
  readonly backend: KernelBackend;
  /** Instruction set that runs: "baseline" | "avx2" | "avx512" | "neon" natively, "simd128" in Wasm. */
  readonly isa: string;
  /** One sentence for people: why this backend runs (forced, preferred, or what failed). */
  readonly reason: string;
}

export interface LoadKernelsParams {
  /** Only this one will do. @default the fastest that works */
  readonly backend?: KernelBackend | undefined;
  /** Only this instruction set will do. @default the fastest that the processor has */
  readonly isa?: string | undefined;
  /** Where the Wasm kernels are. @default the file in this package */
  readonly wasm?: WasmSource | undefined;
}

/** What one backend offers on this machine. */
export interface BackendReport {
  readonly backend: KernelBackend;
  /** Instruction sets, slowest first; none when the backend does not work. */
  readonly isas: readonly string[];
  /** Why it does not work. */
  readonly failure?: string;
}

export interface QuantizeParams {
  /** ggml type to write, e.g. "Q4_K"; F32, F16 and BF16 are types like any other. */
  readonly type: string;
  /** One of `sourceTypes`. Blocks are quantized again: the result is that of dequantizing all of them first. */
  readonly sourceType: string;
  /** rows x columns elements, or their blocks, row-major, little-endian. */
  readonly source: Uint8Array;
  /** Receives rows x rowSize(type, columns) bytes. */
  readonly target: Uint8Array;
  readonly rows: number;
  /** Must be a multiple of the block sizes of both types. */
  readonly columns: number;
  /** One weight per column (diagonal of X^T X), shared by all rows. Some types require it. */
  readonly importance?: Float32Array | undefined;
}

export interface DequantizeParams {
  /** One of `sourceTypes`. */
  readonly type: string;
  readonly source: Uint8Array;
  readonly target: Float32Array;
  readonly rows: number;
  readonly columns: number;
}

export interface MeasureErrorParams {
  /** One of `sourceTypes`, like that of `quantize`. */
  readonly sourceType: string;
  /** The weights as they were. */
  readonly source: Uint8Array;
  readonly type: string;
  /** The same rows after `quantize`. */
  readonly quantized: Uint8Array;
  readonly rows: number;
  /** Must be a multiple of the block sizes of both types. */
  readonly columns: number;
  /** One weight per column, shared by all rows: what its errors count. @default no weighted sums */
  readonly importance?: Float32Array | undefined;
}

/**
 * What quantization did to each row, one element per row. The order of the additions is fixed: the same rows have the same figures on
 * every instruction set and however rows are shared among calls. Whoever adds them up in row order keeps that.
 *
 * A group is the weights of a block that share a scale; elements of floats have none. Its grid are the values that codes of the type
 * stand for, with the group's scale (and minimum, and shift) as it is.
 */
export interface RowErrors {
  /** Sum of (weight - quantized weight)^2. */
  readonly squaredErrors: Float64Array;
  /** Sum of weight^2. */
  readonly squaredWeights: Float64Array;
  /** Sum of importance * (weight - quantized weight)^2: zeros without importance. */
  readonly weightedErrors: Float64Array;
  /** Sum of importance * weight^2: zeros without importance. */
  readonly weightedWeights: Float64Array;
  /** Largest |weight - quantized weight|, rounded to F32. */
  readonly largestErrors: Float64Array;
  /**
   * How many weights are clipped: farther outside of their group's grid than half the distance between the last two values of the grid
   * at that end, so that a grid that went on would have had another code for them.
   */
  readonly clipped: Float64Array;
  /** How many groups became all zero though their weights are not. */
  readonly vanished: Float64Array;
  /** How many groups there are. */
  readonly groups: Float64Array;
}

/** What is wrong with weights. */
export interface QuantizeFault {
  /**
   * - `"not-finite"`: the source holds a NaN or an infinity. The target holds nothing of use.
   * - `"overflow"`: the source is finite, but out of the range of the type: a 16-bit float of the target (an element of F16 or
   *   BF16, a scale or a minimum of a block) is infinite or NaN, or an E8M0 scale is NaN. The target holds the bytes that ggml
   *   would write, of which its `ggml_validate_row_data` says the same, or an infinite scale where ggml would end the process. They
   *   are no use to a model.
   */
  readonly fault: "not-finite" | "overflow";
  /** Row x columns + column of the first such weight, or of the first weight in the first such block of the target. */
  readonly index: number;
}

/** Pure, single-threaded functions over memory; an instance belongs to one thread. */
export interface Kernels {
  readonly info: KernelInfo;
  /** ggml types that `quantize` writes. */
  readonly types: readonly string[];
  /** What weights may come in: `types`, and elements of floats that ggml has no type for. All of it can be dequantized. */
  readonly sourceTypes: readonly string[];
  /**
   * Whether `quantize` needs importance for this type: too few bits are left for codes that suit all columns alike.
   *
   * @throws QuernError `KERNEL_ARGUMENT` for an unknown type.
   */
  readonly requiresImportance: (type: string) => boolean;
  /**
   * Converts and quantizes rows.
   *
   * @returns what is wrong with the weights, or undefined. A NaN or an infinity anywhere in the source comes before overflow.
   * @throws QuernError `KERNEL_ARGUMENT` for an unknown type, sizes that do not fit, or importance that the type requires and
   * does not get.
   */
  readonly quantize: (params: QuantizeParams) => QuantizeFault | undefined;
  /** @throws QuernError `KERNEL_ARGUMENT` */
  readonly dequantize: (params: DequantizeParams) => void;
  /**
   * Measures what quantization did to each row; sums are within a millionth of exact ones. Sums over weights that are not finite are
   * not finite either.
   *
   * @throws QuernError `KERNEL_ARGUMENT`
   */
  readonly measureError: (params: MeasureErrorParams) => RowErrors;
  /** Linear algebra and what else models compute. */
  readonly math: MathKernels;
}
