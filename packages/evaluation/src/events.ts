import type { EvaluationReport } from "./report.ts";

/** Threads are running. */
export interface EvaluationStartEvent {
  readonly type: "start";
  /** Tokens that models are run on, of all models together. */
  readonly tokens: number;
  readonly windows: number;
  /** Files that are going to be written. */
  readonly files: readonly string[];
}

/** After every window in every block, and after every window that is scored. */
export interface EvaluationProgressEvent {
  readonly type: "progress";
  /** For people: "demo, block 3 of 32". */
  readonly place: string;
  /** Operations of linear layers, of all that there are to be done. */
  readonly done: number;
  readonly total: number;
}

/** A file is complete, on disk, and bears its final name. */
export interface EvaluationOutputDoneEvent {
  readonly type: "output:done";
  readonly files: readonly string[];
  readonly bytes: number;
}

export interface EvaluationDoneEvent {
  readonly type: "done";
  readonly report: EvaluationReport;
}

export type EvaluationEvent =
  | EvaluationStartEvent
  | EvaluationProgressEvent
  | EvaluationOutputDoneEvent
  | EvaluationDoneEvent;
