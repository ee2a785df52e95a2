import type { ConversionProfile } from "./conversion/profile.ts";

/** All weights have been planned, the output files have been created, workers are running. */
export interface ConversionStartEvent {
  readonly type: "start";
  readonly tensors: number;
  /** Elements of all tensors: the measure of progress. */
  readonly parameters: number;
  readonly outputs: readonly string[];
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
  /** Elements of all tensors that are written to all outputs. */
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
}

/** A file is complete, on disk, and bears its final name. */
export interface OutputDoneEvent {
  readonly type: "output:done";
  readonly path: string;
  readonly bytes: number;
}

export interface ConversionDoneEvent {
  readonly type: "done";
  readonly report: ConversionReport;
}

export type ConversionEvent =
  | ConversionStartEvent
  | TensorStartEvent
  | ProgressEvent
  | TensorDoneEvent
  | OutputDoneEvent
  | ConversionDoneEvent;

export interface ConvertedOutput {
  readonly type: string;
  readonly path: string;
  readonly bytes: number;
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
