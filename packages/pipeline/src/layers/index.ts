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
export { foldingNeeds } from "./planning/plan-foldings.ts";
export type { FoldingNeeds } from "./planning/plan-foldings.ts";
export { planCheckpoint } from "./planning/plan-checkpoint.ts";
export { writeCheckpoint } from "./running/write-checkpoint.ts";
export type { WriteCheckpointOptions } from "./running/write-checkpoint.ts";
