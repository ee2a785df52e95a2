import {
  type CheckpointPlan,
  type CheckpointReport,
  writeCheckpoint,
  type WriteCheckpointOptions,
} from "@quern/pipeline/layers";
import { sourceIdentity } from "@quern/pipeline";
import type { CheckpointRequest, QueueEvent } from "@quern/queue";
import { shareCheckpoint } from "@quern/queue/checkpoints";
import { checkQueued, type QueueUse, sharedModel, type SharePath, withQueue } from "./by-queue.ts";
import type { RoundingOptions } from "./rounding-options.ts";

export interface QueuedCheckpointParams extends QueueUse<RoundingOptions> {
  /** As the user gave it. */
  readonly model: string;
}

/** Runs the plan of a quantized checkpoint; what other machines do is told apart. */
export type WriteByQueue = (
  plan: CheckpointPlan,
  options: WriteCheckpointOptions & { readonly onQueueEvent: (event: QueueEvent) => void },
) => Promise<CheckpointReport>;

/**
 * What writes a quantized checkpoint with the help of other machines.
 *
 * @throws QuernError as `checkQueued`
 */
export function writeByQueue(params: QueuedCheckpointParams): WriteByQueue {
  checkQueued(params);
  return async (plan, { onQueueEvent, ...options }) => {
    const { repository } = await sourceIdentity(plan.model.checkpoint);
    return withQueue(
      {
        ...params,
        share: shareCheckpoint,
        request: (share) => requestOf({ ...params, plan, repository }, share),
        signal: options.signal,
        onQueueEvent,
      },
      (delegate) => writeCheckpoint(plan, { ...options, delegate }),
    );
  };
}

/** What workers make the same plan from. */
function requestOf(
  {
    model,
    repository,
    options,
    plan,
  }: QueuedCheckpointParams & { readonly plan: CheckpointPlan; readonly repository: string | undefined },
  share: SharePath,
): CheckpointRequest {
  const { statistics } = options;
  const { baseModel } = plan;
  return {
    container: "safetensors",
    model: sharedModel({ model, repository }, share),
    // Whoever asks for a folder by a command has it say where it comes from.
    origin: plan.origin!,
    folder: share(plan.folder),
    ...(plan.inputs !== undefined && statistics !== undefined && { statistics: share(statistics) }),
    ...(baseModel !== undefined && { baseModel }),
  };
}
