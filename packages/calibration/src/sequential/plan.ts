import type { RunnableModel } from "@quern/inference";
import type { KernelBackend } from "@quern/kernels";
import type { KeptWindows } from "@quern/statistics";
import type { QuernError } from "@quern/tensor";
import type { CalibrationWindows } from "../planning/calibration-windows.ts";
import type { CollectedInputs } from "../planning/divide-memory.ts";
import type { RunEstimate } from "../planning/estimate-run.ts";
import type { Stage } from "../stage.ts";

/**
 * Which layers a layer sees quantized: all that come before it, for which a block is run once for each group of layers with the same
 * input, or those of earlier blocks, for which it is run once.
 */
export type SequentialMode = "true-sequential" | "block";

/** Everything that is known of a run that goes along with the quantization of its model, before weights are read. */
export interface SequentialPlan {
  readonly model: RunnableModel;
  readonly windows: CalibrationWindows;
  readonly mode: SequentialMode;
  /** Whether X^T X can be asked for. */
  readonly hessians: boolean;
  /** Whether (X_f - X)^T X can be asked for, for which the model is run as it was, too. */
  readonly cross: boolean;
  /** What is to be known of blocks until they change. Absent where nothing is. */
  readonly folds?: PlannedFolds;
  /** Tokens that the model is run on, those of the hold-out included. */
  readonly tokens: number;
  /** The blocks in order, and the output layer if it is wanted. */
  readonly stages: readonly SequentialStage[];
  /** Tokens times runs through a block, as far as all inputs are asked for. */
  readonly work: number;
  /** Absolute path that temporary files are named after. */
  readonly temporary: string;
  /** Bytes on disk beside it. */
  readonly temporaryBytes: number;
  /** Hash of what decides what is read: of the model, the windows, and of how it is run. */
  readonly identity: string;
  /** Whether hidden states are saved after each block, for a run that goes on. */
  readonly saves: boolean;
  readonly memory: SequentialMemory;
  /** Worker threads; 0 is the calling thread. */
  readonly threads: number;
  readonly backend?: KernelBackend;
  /** Its memory is that while an input is read. */
  readonly estimate: RunEstimate;
  /** Among them `CALIBRATION_ROUTING` for layers of which no cross products can be asked for. */
  readonly warnings: readonly QuernError[];
}

/** What is known of a block before it changes. */
export interface PlannedFolds {
  /** Whether X^T X is. */
  readonly hessians: boolean;
  /** Windows of which the inputs of attention are kept whole. */
  readonly windows?: KeptWindows;
}

export interface SequentialStage {
  readonly stage: Stage;
  /** What is captured before the block changes, in a run each: one, where there is memory for all. Absent where nothing is to be known then. */
  readonly before?: readonly CollectedInputs[];
  /** What is captured in a run each. */
  readonly captures: readonly CollectedInputs[];
}

/** How the memory budget is used. */
export interface SequentialMemory {
  /** Bytes in all, and how many of them are used. */
  readonly budget: number;
  readonly used: number;
  /** Windows that are captured at once. */
  readonly batch: number;
  /** Bytes for hidden states, and for those of the model as it was; what is left of them goes to files. */
  readonly states: number;
  readonly referenceStates: number;
}
