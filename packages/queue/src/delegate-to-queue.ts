import { randomUUID } from "node:crypto";
import type { Delegate } from "@quern/pipeline";
import { QuernError } from "@quern/tensor";
import { asQueueError } from "./command-error.ts";
import type { QueueConnection } from "./connection.ts";
import { coordinateRun } from "./coordinate-run.ts";
import type { QueueEvent } from "./events.ts";
import type { RunRequest } from "./run-request.ts";
import { sharePath } from "./shared-path.ts";
import type { SharedPlan } from "./shared-plan.ts";

/** How often Redis may lose a run without that a tensor has been done. */
const LOSSES = 3;

export interface QueueDelegateParams<Plan, Part, Outcome> {
  readonly connection: QueueConnection;
  /** How machines see the plan: `shareConversion`, `shareCheckpoint`. */
  readonly share: (plan: Plan) => SharedPlan<Part, Outcome> | Promise<SharedPlan<Part, Outcome>>;
  /** From which workers make the same plan. */
  readonly request: RunRequest;
  /** Folder that each machine has, wherever it is there. Default: paths are the same everywhere. */
  readonly root?: string;
  /** "host-1234" */
  readonly name: string;
  /** Whether this process works, too. */
  readonly works: boolean;
  /** As of `attendRun`. */
  readonly lease: number;
  /** Called for every event, in order. */
  readonly onEvent?: (event: QueueEvent) => void;
}

/**
 * Lets the workers of a queue do the parts of a plan. What they have written is read back before it counts.
 *
 * The run is in Redis as long as this process says that it lives; however it ends, workers drop the run. Another coordinator of the same
 * files takes over. When Redis loses its data, what is not done is put up again.
 *
 * @returns what `convert` and `writeCheckpoint` take; its `run` throws QuernError what workers throw for tensors that cannot be converted, `QUEUE_JOB_LOST` for a
 * tensor whose workers die, `QUEUE_BYTES_DIFFER` where files are not on storage that is shared, `QUEUE_LOST`, `QUEUE_RUN_LOST` when Redis
 * loses the run again and again, `QUEUE_RUN_TAKEN`, `QUEUE_COMMAND_FAILED`
 */
export function delegateToQueue<
  Plan,
  Part extends { readonly tensor: number },
  Outcome extends Pick<Part, "tensor">,
>(params: QueueDelegateParams<Plan, Part, Outcome>): Delegate<Plan, Part, Outcome> {
  const { connection, share, request, root, name, works, lease, onEvent } = params;
  return {
    async run({ plan, work, signal, onStart, onDone }) {
      const shared = await share(plan);
      const common = {
        identity: shared.identity,
        request,
        files: shared.files.map(({ path }) => sharePath(path, root)),
      };
      const open = new Map<number, Part>(work.map((part) => [part.tensor, part]));
      const kernels = new Set<string>();
      let losses = 0;
      while (open.size > 0) {
        const parts = [...open.values()];
        const unfinished = [...new Set(parts.flatMap((part) => shared.describe(part)!.files))];
        try {
          await coordinateRun({
            connection,
            record: { id: randomUUID(), ...common, unfinished },
            plan: shared,
            work: parts,
            works: works ? { name, lease } : undefined,
            signal,
            onStart,
            onDone: async (outcome, ran) => {
              await onDone(outcome);
              open.delete(outcome.tensor);
              kernels.add(ran);
              losses = 0;
            },
            onEvent,
          });
        } catch (error) {
          const isLost = error instanceof QuernError && error.code === "QUEUE_RUN_LOST";
          if (!isLost || ++losses > LOSSES) throw asQueueError(connection, error);
          onEvent?.({ type: "run:renewed", tensors: open.size });
        }
      }
      return { kernels: [...kernels].sort().join(", ") };
    },
  };
}
