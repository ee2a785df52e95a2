import type { ReportContents } from "@quern/reports";

/** Measures files of items before they are uploaded. */
export interface ItemEvaluation {
  /** Digest of what decides about the figures beside the files and their source: texts, windows, program. */
  readonly identity: string;
  /** What the evaluation of one item takes, as planned. */
  readonly estimate: {
    readonly windows: number;
    /** Tokens of a window. */
    readonly context: number;
    readonly seconds: number;
    /** Bytes. */
    readonly peakMemory: number;
  };
  /**
   * Compares an item with its source.
   *
   * @param params.files Absolute paths, the first file first.
   * @param params.onProgress Called with the place: "evaluating model-Q4_K_M, block 3 of 32".
   */
  evaluate(params: {
    readonly files: readonly string[];
    readonly signal: AbortSignal;
    readonly onProgress: (place: string) => void;
  }): Promise<NonNullable<ReportContents["evaluation"]>>;
}
