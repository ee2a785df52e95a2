export type {
  CalibrationBlockDoneEvent,
  CalibrationDoneEvent,
  CalibrationEvent,
  CalibrationOutputDoneEvent,
  CalibrationProgressEvent,
  CalibrationReport,
  CalibrationStartEvent,
} from "./events.ts";
