import type { CheckpointTensor } from "@quern/checkpoints";
import type { RowErrors } from "@quern/kernels";
import type { TensorExpression } from "@quern/models";
import type { SlabTimes } from "./profile.ts";

/** Where the rows of a conversion go: one output can hold a tensor once. */
interface SlabTarget {
  /** Position among the files of all outputs of the plan. */
  readonly file: number;
  /** Absolute byte offset of the tensor's first row in the file. */
  readonly offset: number;
}

/** Rows of one tensor to one ggml type; outputs that agree on it share the work. */
export interface SlabConversion {
  /** ggml type to write. */
  readonly type: string;
  /** Bytes of one row in that type. */
  readonly rowSize: number;
  /** ggml type that the weights pass through first, because it rounds them. */
  readonly via?: { readonly type: string; readonly rowSize: number };
  /** Whether the evaluated rows are already of `type`. */
  readonly packed: boolean;
  /** Whether what the conversion does to the weights is measured. */
  readonly measured: boolean;
  /** `columns` weights for each matrix that the slab touches, the first one first. */
  readonly importance?: Float32Array;
  readonly targets: readonly SlabTarget[];
}

/** Some rows of a tensor for all outputs: the unit of work. Plain data: it travels to worker threads. */
export interface Slab {
  /** Position of the tensor among those of the plan. */
  readonly tensor: number;
  /** GGUF name. */
  readonly name: string;
  readonly expression: TensorExpression;
  /** The tensors of the checkpoint that the expression names. */
  readonly sources: readonly CheckpointTensor[];
  /** What the rows hold that the expression yields: an element type or a ggml type. */
  readonly weightType: string;
  readonly columns: number;
  /** Rows of one matrix; a tensor of merged experts has several. */
  readonly matrixRows: number;
  readonly firstRow: number;
  readonly rows: number;
  /** Module of the statistics file whose Hessian says what errors of the weights do to outputs, where that is measured. */
  readonly hessian?: string;
  readonly conversions: readonly SlabConversion[];
}

/** What a conversion did to some rows of a slab. */
export interface MeasuredRows {
  /** Position among the conversions of the slab. */
  readonly conversion: number;
  /** Of the tensor. */
  readonly firstRow: number;
  readonly errors: RowErrors;
}

/** What a conversion did to the outputs that belong to some rows of a slab, summed over all inputs that H is of; by row. */
export interface OutputRows {
  /** Position among the conversions of the slab. */
  readonly conversion: number;
  /** Of the tensor. */
  readonly firstRow: number;
  readonly squaredErrors: Float64Array;
  readonly squaredWeights: Float64Array;
}

export interface SlabResult {
  readonly bytesWritten: number;
  /** CRC-32 of the bytes that each conversion of the slab has made, in their order. */
  readonly checksums: readonly number[];
  /** Of the conversions that are measured. */
  readonly errors: readonly MeasuredRows[];
  /** Of the same conversions, where there is a Hessian. */
  readonly outputs: readonly OutputRows[];
  readonly times: SlabTimes;
}
