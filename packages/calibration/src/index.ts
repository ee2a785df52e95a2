export type {
  CalibrationBlockDoneEvent,
  CalibrationDoneEvent,
  CalibrationEvent,
  CalibrationOutputDoneEvent,
  CalibrationProgressEvent,
  CalibrationReport,
  CalibrationStartEvent,
} from "./events.ts";
export type { CalibrationPlan, PlannedStage } from "./plan.ts";
export { collectCalibrationWindows } from "./planning/calibration-windows.ts";
export type { CalibrationWindows, WindowPart } from "./planning/calibration-windows.ts";
export type { MemoryDivision } from "./planning/divide-memory.ts";
export { planCalibration } from "./planning/plan-calibration.ts";
export type { PlanCalibrationParams } from "./planning/plan-calibration.ts";
export { calibrate } from "./running/calibrate.ts";
export type { CalibrateOptions } from "./running/calibrate.ts";
export type { RareExperts } from "./running/rare-experts.ts";
export type {
  PlannedFolds,
  SequentialMemory,
  SequentialMode,
  SequentialPlan,
  SequentialStage,
} from "./sequential/plan.ts";
export { planSequential } from "./sequential/plan-sequential.ts";
export type { FoldsRequest, PlanSequentialParams } from "./sequential/plan-sequential.ts";
export { sequentialInputs } from "./sequential/sequential-inputs.ts";
export type { SequentialOptions } from "./sequential/sequential-inputs.ts";
export type { SequentialProgress } from "./sequential/sequential-source.ts";
