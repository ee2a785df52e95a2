import type { ConversionProfile } from "./conversion/profile.ts";
import type { TensorError } from "./errors.ts";

/** All weights have been planned, the output files have been created, workers are running. */
export interface ConversionStartEvent {
  readonly type: "start";
  readonly tensors: number;
  /** Elements of all tensors: the measure of progress. */
  readonly parameters: number;
  /** Paths of all files that are going to be written. */
  readonly files: readonly string[];
}

/** Goes on where an earlier run stopped: what it had finished has been hashed again. */
export interface ConversionResumedEvent {
  readonly type: "resume";
  /** Tensors that are finished in all outputs. */
  readonly tensors: number;
  /** Tensors that were finished in an output and are done again, because their bytes are not what they were. */
  readonly redone: number;
  /** As in {@link ProgressEvent}. */
  readonly done: number;
  readonly total: number;
}

/** The conversion ends before its time; what is finished stays, for the same conversion to go on with. */
export interface ConversionStoppedEvent {
  readonly type: "stop";
  /** Tensors that are finished in an output, added up. */
  readonly tensors: number;
}

export interface TensorStartEvent {
  readonly type: "tensor:start";
  /** GGUF name. */
  readonly name: string;
  /** Position among the tensors of the model, from 0. */
  readonly index: number;
}

/** After every slab of rows. */
export interface ProgressEvent {
  readonly type: "progress";
  /** GGUF name of the tensor that the slab belongs to. */
  readonly tensor: string;
  /** Elements of this tensor that are written to all outputs. */
  readonly tensorDone: number;
  readonly tensorTotal: number;
  /** Elements of all tensors that are written to all outputs; those that are rounded by their inputs count for more, as they take longer. */
  readonly done: number;
  readonly total: number;
  /** Bytes written so far, all outputs together. */
  readonly bytesWritten: number;
}

export interface TensorDoneEvent {
  readonly type: "tensor:done";
  readonly name: string;
  readonly index: number;
  /** Tensors finished so far, this one included. */
  readonly finished: number;
  /** What became of its weights, in each output where that was measured; absent where it was in none. */
  readonly errors?: readonly TensorError[];
}

/** An output is complete, on disk, and its files bear their final names. */
export interface OutputDoneEvent {
  readonly type: "output:done";
  /** Paths of its files. */
  readonly files: readonly string[];
  /** All files together. */
  readonly bytes: number;
}

export interface ConversionDoneEvent {
  readonly type: "done";
  readonly report: ConversionReport;
}

export type ConversionEvent =
  | ConversionStartEvent
  | ConversionResumedEvent
  | ConversionStoppedEvent
  | TensorStartEvent
  | ProgressEvent
  | TensorDoneEvent
  | OutputDoneEvent
  | ConversionDoneEvent;

export interface ConvertedFile {
  readonly path: string;
  readonly bytes: number;
}

/** A tensor in a file that was written. */
export interface ConvertedTensor {
  /** GGUF name. */
  readonly name: string;
  /** ggml type. */
  readonly type: string;
  /** Index of its file among those of the output. */
  readonly file: number;
  /** Bytes of its data, without padding. */
  readonly bytes: number;
  /** CRC-32 of these bytes, as they lie in the file: eight hexadecimal digits in lower case. */
  readonly crc32: string;
}

export interface ConvertedOutput {
  readonly type: string;
  readonly files: readonly ConvertedFile[];
  /** All files together. */
  readonly bytes: number;
  /** In the order of the files. */
  readonly tensors: readonly ConvertedTensor[];
  /**
   * What became of the weights of tensors, in the order of the files: of all that were rounded where the plan measures errors, else of
   * those that were quantized again. Absent where no tensor was measured.
   */
  readonly errors?: readonly TensorError[];
}

export interface ConversionReport {
  readonly outputs: readonly ConvertedOutput[];
  readonly tensors: number;
  readonly parameters: number;
  /** Bytes of weights, each counted once. */
  readonly sourceBytes: number;
  readonly seconds: number;
  /** Kernels that ran: "native avx512", "wasm simd128". */
  readonly kernels: string;
  readonly profile: ConversionProfile;
}
