export { connectQueue } from "./connection.ts";
export type { QueueConnection, QueuePatience } from "./connection.ts";
export { requestedOutput, shareOutput } from "./conversion-request.ts";
export type { ConversionRequest } from "./conversion-request.ts";
export type { CheckpointRequest } from "./checkpoint-request.ts";
export { delegateToQueue } from "./delegate-to-queue.ts";
export type { QueueDelegateParams } from "./delegate-to-queue.ts";
export type {
  JobDoneEvent,
  JobFailedEvent,
  JobRepeatedEvent,
  QueueEvent,
  RunJoinedEvent,
  RunLeftEvent,
  RunRefusedEvent,
  RunRenewedEvent,
  WorkerEvent,
  WorkerJoinedEvent,
  WorkerRefusedEvent,
} from "./events.ts";
export { parseQueueAddress, QueueAddress } from "./queue-address.ts";
export type { RunRequest } from "./run-request.ts";
export { shareConversion } from "./share-conversion.ts";
export type { SharedModel } from "./shared-model.ts";
export { localPath, sharePath } from "./shared-path.ts";
export type { SharedPath } from "./shared-path.ts";
export type { PartDescription, SharedFile, SharedPlan } from "./shared-plan.ts";
export { work } from "./work.ts";
export type { WorkParams } from "./work.ts";
