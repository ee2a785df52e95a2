import type { Checkpoint, GgufModel } from "@quern/checkpoints";
import type { ReportContents } from "@quern/reports";

/** What the evaluation of items takes, as planned. */
export interface EvaluationEstimate {
  readonly windows: number;
  /** Tokens of a window. */
  readonly context: number;
  /** Of all items. */
  readonly seconds: number;
  /** Bytes of the process's resident memory, with what evaluations before leave to the garbage collector. */
  readonly peakMemory: number;
  /** Bytes of a file for what all evaluations have in common, which goes when they are done. */
  readonly scratchBytes: number;
  /** Bytes of weights of the source that come over the network. */
  readonly networkBytes: number;
}

/** Measures items before they are uploaded. To be closed. */
export interface ItemEvaluation {
  /** Digest of what decides about the figures beside the item and its source: texts, windows, program. */
  readonly identity: string;
  readonly estimate: EvaluationEstimate;
  /**
   * Compares an item with its source.
   *
   * @param params.path Absolute path of its first file, or of its folder.
   * @param params.onProgress Called with the place: "evaluating model-Q4_K_M, block 3 of 32".
   */
  evaluate(params: {
    readonly path: string;
    readonly signal: AbortSignal;
    readonly onProgress: (place: string) => void;
  }): Promise<NonNullable<ReportContents["evaluation"]>>;
  /** Frees what evaluations had in common. */
  close(): Promise<void>;
}

/**
 * Plans the evaluation of items before any of them is made: what cannot be evaluated is refused.
 *
 * @param models They are going to be, or are already, as far as headers tell.
 */
export type PlanItemEvaluation = (models: readonly (Checkpoint | GgufModel)[]) => Promise<ItemEvaluation>;
