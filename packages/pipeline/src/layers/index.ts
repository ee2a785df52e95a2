export type { CheckpointConverter, CheckpointDelegate, CheckpointOutcome } from "./delegate.ts";
export type {
  CheckpointDoneEvent,
  CheckpointEvent,
  CheckpointProgressEvent,
  CheckpointReport,
  TaskTime,
  CheckpointStartEvent,
  LayerDoneEvent,
  LayerResultFigures,
  WrittenTensor,
} from "./events.ts";
export { openLayeredModel } from "./linear-layers.ts";
export type { CheckpointLinear, LayeredModel } from "./linear-layers.ts";
export type {
  CheckpointPlan,
  CheckpointProvenance,
  LayerResources,
  PlanCheckpointParams,
  PlannedGroup,
  PlannedLinear,
  PlannedStage,
} from "./plan.ts";
export { plannedCheckpoint } from "./planned-checkpoint.ts";
export { checkpointParts } from "./parts.ts";
export type { CheckpointPart, PlannedPart } from "./parts.ts";
export { foldingNeeds } from "./planning/plan-foldings.ts";
export type { FoldingNeeds } from "./planning/plan-foldings.ts";
export { planCheckpoint } from "./planning/plan-checkpoint.ts";
export { planCheckpointAgain } from "./planning/plan-checkpoint-again.ts";
export { openCheckpointConverter } from "./running/checkpoint-converter.ts";
export type { FinishedEntry } from "./finished-entry.ts";
export { partialFiles } from "./running/partial-files.ts";
export { writeCheckpoint } from "./running/write-checkpoint.ts";
export type { WriteCheckpointOptions } from "./running/write-checkpoint.ts";
