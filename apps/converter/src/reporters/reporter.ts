import type { CalibrationEvent } from "@quern/calibration";
import type { KeepingEvent } from "@quern/checkpoints/node";
import type { EvaluationEvent } from "@quern/evaluation";
import type { GgufCopyEvent } from "@quern/gguf/node";
import type { NetworkWaitEvent } from "@quern/hub";
import type { PublicationEvent } from "@quern/publishing";
import type { ConversionEvent } from "@quern/pipeline";
import type { CheckpointEvent } from "@quern/pipeline/layers";
import type { FileProgressEvent } from "@quern/pipeline/provenance";
import type { QueueEvent } from "@quern/queue";

/** News of work that takes a while. */
export type WorkEvent =
  | ConversionEvent
  | CheckpointEvent
  | GgufCopyEvent
  | KeepingEvent
  | NetworkWaitEvent
  | QueueEvent
  | CalibrationEvent
  | EvaluationEvent
  | FileProgressEvent
  | PublicationEvent;

/** Shows work while it is done. */
export interface Reporter {
  onEvent(event: WorkEvent): void;
  /** Leaves the stream at the beginning of a line; nothing is written afterwards. */
  close(): void;
}
