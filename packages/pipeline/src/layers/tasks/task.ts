import type { Feedback } from "@quern/quantize";
import type { InputStatistics } from "@quern/statistics";
import type { ChangeInputsTask } from "./change-inputs.ts";
import type { ChooseFactorsTask } from "./choose-factors.ts";
import type { CompareBlockTask } from "./compare-block.ts";
import type { CopyRowsTask } from "./copy-rows.ts";
import type { EvaluateTask } from "./evaluate-weights.ts";
import type { HashTensorTask } from "./hash-tensor.ts";
import type { LargestTask } from "./largest.ts";
import type { PackTask } from "./pack-layer.ts";
import type { PrepareTask } from "./prepare.ts";
import type { ReadBlocksTask } from "./read-blocks.ts";
import type { ReadElementsTask, ReadLayerTask } from "./read-back.ts";
import type { Weights } from "./weights.ts";
import type { RoundBlocksResult, RoundBlocksTask } from "./round-blocks.ts";
import type { RoundRowsResult, RoundRowsTask } from "./round-rows.ts";

/** What each kind of task gives. */
interface LayerResults {
  readonly read: Float32Array;
  readonly "choose-factors": Float32Array;
  readonly "change-inputs": InputStatistics;
  readonly evaluate: undefined;
  readonly "compare-block": number;
  readonly prepare: Feedback | undefined;
  readonly largest: number;
  readonly "round-rows": RoundRowsResult;
  readonly "round-blocks": RoundBlocksResult;
  readonly "read-blocks": undefined;
  readonly pack: number;
  readonly hash: string;
  readonly "read-layer": undefined;
  readonly "read-elements": Float32Array;
  readonly "copy-rows": number;
}

/** Reads a small tensor whole. */
interface ReadTask {
  readonly kind: "read";
  readonly weights: Weights;
}

/** What threads do for layers. Plain data; large arrays are in shared memory. */
export type LayerTask =
  | ReadTask
  | ChooseFactorsTask
  | ChangeInputsTask
  | EvaluateTask
  | CompareBlockTask
  | PrepareTask
  | LargestTask
  | RoundRowsTask
  | RoundBlocksTask
  | ReadBlocksTask
  | PackTask
  | HashTensorTask
  | ReadLayerTask
  | ReadElementsTask
  | CopyRowsTask;

export type LayerResult = LayerResults[LayerTask["kind"]];

/** Runs a task on a thread. */
export type RunLayerTask = <Task extends LayerTask>(task: Task) => Promise<LayerResults[Task["kind"]]>;
