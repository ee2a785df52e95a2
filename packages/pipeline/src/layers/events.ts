import type { QuernError } from "@quern/tensor";
import type { ConversionResumedEvent, ConversionStoppedEvent, ConvertedTensor } from "../events.ts";
import type { LayerTask } from "./tasks/task.ts";

/** The files have been created, threads are running. */
export interface CheckpointStartEvent {
  readonly type: "start";
  /** Tensors of the source. */
  readonly tensors: number;
  /** Linear layers that are quantized. */
  readonly layers: number;
  /** Elements of all tensors: the measure of progress. */
  readonly parameters: number;
  readonly folder: string;
}

/** After rows of a tensor. */
export interface CheckpointProgressEvent {
  readonly type: "progress";
  /** Name in the source. */
  readonly tensor: string;
  /** Elements of all tensors that are rounded or copied. */
  readonly done: number;
  readonly total: number;
  readonly bytesWritten: number;
}

/** A layer has been quantized and written. */
export interface LayerDoneEvent {
  readonly type: "tensor:done";
  /** Name of its weight in the source. */
  readonly name: string;
  /** Layers finished so far, this one included. */
  readonly finished: number;
  readonly result: LayerResultFigures;
}

export interface CheckpointDoneEvent {
  readonly type: "done";
  readonly report: CheckpointReport;
}

export type CheckpointEvent =
  | CheckpointStartEvent
  | ConversionResumedEvent
  | ConversionStoppedEvent
  | CheckpointProgressEvent
  | LayerDoneEvent
  | CheckpointDoneEvent;

/** What became of a layer. */
export interface LayerResultFigures {
  /** Name in the checkpoint without ".weight". */
  readonly module: string;
  readonly format: string;
  readonly bits: number;
  readonly elements: number;
  /** Rounding that was kept: that of the recipe, or "nearest" where that was better on inputs held out. */
  readonly rounding: string;
  /** Sums over all weights of (weight - new weight)^2 and weight^2. */
  readonly squaredErrors: number;
  readonly squaredWeights: number;
  /** Root of their quotient. */
  readonly relativeError: number;
  /** On inputs that were held out: squared errors of the outputs over the squared outputs. Absent where there are none. */
  readonly outputError?: {
    /** Of the recipe's rounding. */
    readonly rounded: number;
    /** Of rounding to nearest on the same grid; absent where it was not tried. */
    readonly nearest?: number;
  };
  /** Share of the mean of the Hessian's diagonal that was added to it. */
  readonly damping?: number;
  /** How many columns have inputs that were always 0. */
  readonly deadColumns?: number;
}

/** How long threads took for tasks of a kind on a tensor, all of them added up. */
export interface TaskTime {
  /** What was done: "prepare" (what layers with the same inputs share, under the name of one of them), "round-rows", "pack", "copy-rows", and others. */
  readonly task: LayerTask["kind"];
  /** Name in the source; of a block as a whole, "blk." and its number. */
  readonly tensor: string;
  readonly seconds: number;
}

/** A tensor in a file of weights. */
export interface WrittenTensor extends Omit<ConvertedTensor, "crc32"> {
  /** Of its bytes: hexadecimal digits in lower case. */
  readonly sha256: string;
}

export interface CheckpointReport {
  /** Of the model that was written. */
  readonly folder: string;
  /** All files, by name. */
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  readonly bytes: number;
  /** In the order of the files of weights, which are the first of `files`. */
  readonly tensors: readonly WrittenTensor[];
  /** How many of these an earlier run had finished. */
  readonly resumed: number;
  /** In the order of the computation. */
  readonly layers: readonly LayerResultFigures[];
  readonly parameters: number;
  readonly sourceBytes: number;
  readonly seconds: number;
  /** Where the time went. */
  readonly times: readonly TaskTime[];
  /** Kernels that ran: "native avx512", "wasm simd128". */
  readonly kernels: string;
  readonly warnings: readonly QuernError[];
}
