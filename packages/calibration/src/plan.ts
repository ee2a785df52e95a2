import type { RunnableModel } from "@quern/inference";
import type { KernelBackend } from "@quern/kernels";
import type { StatisticsPlan } from "@quern/statistics";
import type { QuernError } from "@quern/tensor";
import type { BlockPass } from "./planning/block-passes.ts";
import type { CalibrationWindows } from "./planning/calibration-windows.ts";
import type { MemoryDivision } from "./planning/divide-memory.ts";
import type { RunEstimate } from "./planning/estimate-run.ts";
import type { Stage } from "./stage.ts";

/** Everything that is known before weights are read. */
export interface CalibrationPlan {
  readonly model: RunnableModel;
  readonly windows: CalibrationWindows;
  /** Tokens that the model is run on, those of the hold-out included. */
  readonly tokens: number;
  /** Absolute path of the file. */
  readonly output: string;
  /** Whether a file of this name is replaced. */
  readonly replaces: boolean;
  readonly force: boolean;
  /** Whether what an interrupted run has left is thrown away. */
  readonly restart: boolean;
  /** Whether an interrupted run of this plan has left something to go on with, as far as its journal says. */
  readonly resumes: boolean;
  readonly statistics: StatisticsPlan;
  /** Bytes of the file. */
  readonly fileSize: number;
  /** Bytes on disk next to the file, while it is made: hidden states. */
  readonly temporaryBytes: number;
  /** Bytes of weights that come over the network. */
  readonly networkBytes: number;
  /** Those of them that are still to come: not what belongs to blocks that an interrupted run has completed, as far as its journal says. */
  readonly networkBytesLeft: number;
  readonly stages: readonly PlannedStage[];
  /** Windows of which the inputs of attention are kept whole, and the bytes of them in the file. */
  readonly kept: { readonly windows: number; readonly bytes: number };
  readonly memory: MemoryDivision;
  /** Worker threads; 0 is the calling thread. */
  readonly threads: number;
  readonly backend?: KernelBackend;
  readonly estimate: RunEstimate;
  readonly warnings: readonly QuernError[];
}

export interface PlannedStage {
  readonly stage: Stage;
  readonly passes: readonly BlockPass[];
  /** For each input, rows of its hold-out to keep of each matrix. */
  readonly holdOutRows: readonly number[];
  /** For each input, rows of the windows that are kept whole. */
  readonly windowRows: readonly number[];
}
