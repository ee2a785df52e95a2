import { resolve } from "node:path";
import type { Delegate } from "@quern/pipeline";
import {
  delegateToQueue,
  parseQueueAddress,
  type QueueEvent,
  type RunRequest,
  type SharedModel,
  type SharedPath,
  type SharedPlan,
  sharePath,
} from "@quern/queue";
import { QuernError } from "@quern/tensor";
import type { Host } from "../host.ts";
import { connectToQueue, workerName } from "./connect-to-queue.ts";
import type { QueueOptions } from "./queue-options.ts";
import type { RoundingOptions } from "./rounding-options.ts";

/** Options of whatever goes by a queue. */
export interface QueuedOptions extends QueueOptions {
  readonly queue?: string;
  /** False with `--no-work`. */
  readonly work: boolean;
}

/** A queue that is asked for. */
export interface QueueUse<Options> {
  readonly options: Options & QueuedOptions & { readonly queue: string };
  readonly host: Host;
}

/** @throws QuernError `USAGE_QUEUE` for options that are for one machine, `QUEUE_ADDRESS_INVALID` */
export function checkQueued({ options }: QueueUse<RoundingOptions>): void {
  if (options.sequential === true) {
    throw new QuernError(
      "USAGE_QUEUE",
      "--sequential rounds each layer for what the layers before it have become: that is work for one machine. Leave out --queue, or take --statistics instead.",
    );
  }
  parseQueueAddress(options.queue);
}

/** Does work with a delegate who gives it to the workers of a queue, as long as there is a connection. */
export async function withQueue<
  Plan,
  Part extends { tensor: number },
  Outcome extends { tensor: number },
  Result,
>(
  params: QueueUse<object> & {
    readonly share: (plan: Plan) => SharedPlan<Part, Outcome> | Promise<SharedPlan<Part, Outcome>>;
    /** What workers make the same plan from. */
    readonly request: (share: SharePath) => RunRequest;
    readonly signal: AbortSignal | undefined;
    readonly onQueueEvent: (event: QueueEvent) => void;
  },
  run: (delegate: Delegate<Plan, Part, Outcome>) => Promise<Result>,
): Promise<Result> {
  const { options, host, share, request, signal = new AbortController().signal, onQueueEvent } = params;
  const root = options.root === undefined ? undefined : resolve(host.cwd, options.root);
  const connection = await connectToQueue(options.queue, host, signal);
  try {
    return await run(
      delegateToQueue({
        connection,
        share,
        request: request((path) => sharePath(resolve(host.cwd, path), root)),
        ...(root !== undefined && { root }),
        name: workerName,
        works: options.work,
        lease: options.lease * 1000,
        onEvent: onQueueEvent,
      }),
    );
  } finally {
    connection.close();
  }
}

/** How other machines are told paths, as the user gave them. */
export type SharePath = (path: string) => SharedPath;

/** @param repository Of a model of the Hub, at the commit that was found: a branch may be another one when workers look. */
export function sharedModel(
  { model, repository }: { readonly model: string; readonly repository: string | undefined },
  share: SharePath,
): SharedModel {
  return repository === undefined ? { path: share(model) } : { repository };
}
