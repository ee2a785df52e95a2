import type { RareExperts } from "./running/rare-experts.ts";

/** The model has been opened, threads are running. */
export interface CalibrationStartEvent {
  readonly type: "start";
  /** Tokens that the model is run on, those of the hold-out included. */
  readonly tokens: number;
  readonly windows: number;
  readonly blocks: number;
  /** Blocks that an earlier run has done. */
  readonly resumed: number;
  /** Path of the file that is going to be written. */
  readonly files: readonly string[];
}

/** After every window in every block. */
export interface CalibrationProgressEvent {
  readonly type: "progress";
  /** For people: "block 3 of 32". */
  readonly place: string;
  /** From 0; the number of blocks for the input of the output layer. */
  readonly block: number;
  /** From 0: a block is run more than once when its Hessians do not fit in memory together. */
  readonly pass: number;
  readonly passes: number;
  /** Tokens times passes, of all that this run has to do. */
  readonly done: number;
  readonly total: number;
}

/** Everything of a block is on disk: a later run would go on behind it. */
export interface CalibrationBlockDoneEvent {
  readonly type: "block:done";
  readonly block: number;
  /** Blocks that are done, those of earlier runs included. */
  readonly finished: number;
}

/** The file is complete, on disk, and bears its final name. */
export interface CalibrationOutputDoneEvent {
  readonly type: "output:done";
  readonly files: readonly string[];
  readonly bytes: number;
}

export interface CalibrationDoneEvent {
  readonly type: "done";
  readonly report: CalibrationReport;
}

export type CalibrationEvent =
  | CalibrationStartEvent
  | CalibrationProgressEvent
  | CalibrationBlockDoneEvent
  | CalibrationOutputDoneEvent
  | CalibrationDoneEvent;

export interface CalibrationReport {
  /** Path of the file. */
  readonly path: string;
  readonly bytes: number;
  /** Tokens that the model was run on, those of the hold-out included. */
  readonly tokens: number;
  readonly blocks: number;
  /** Blocks that an earlier run had done. */
  readonly resumed: number;
  readonly seconds: number;
  /** Tokens through the whole model each second, in this run. */
  readonly tokensPerSecond: number;
  /** Kernels that ran: "native avx512". */
  readonly kernels: string;
  readonly threads: number;
  /** Layers of which some experts saw few tokens. */
  readonly rareExperts: readonly RareExperts[];
}
