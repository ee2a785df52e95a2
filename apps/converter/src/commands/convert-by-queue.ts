import { basename, resolve } from "node:path";
import {
  convert,
  type ConversionPlan,
  type ConversionReport,
  type ConvertOptions,
  type OutputRequest,
} from "@quern/pipeline";
import { withProvenance } from "@quern/pipeline/provenance";
import {
  type ConversionRequest,
  delegateToQueue,
  parseQueueAddress,
  type QueueEvent,
  shareOutput,
  sharePath,
} from "@quern/queue";
import { QuernError } from "@quern/tensor";
import type { Host } from "../host.ts";
import { connectToQueue, workerName } from "./connect-to-queue.ts";
import type { QueueOptions } from "./queue-options.ts";
import type { ModelOptions, QuantizationOptions } from "./shared-options.ts";

/** Options of conversions that go by a queue. */
export interface QueuedOptions extends QuantizationOptions, ModelOptions, QueueOptions {
  readonly manifest?: true;
  readonly queue?: string;
  /** False with `--no-work`. */
  readonly work: boolean;
}

export interface QueuedParams {
  readonly model: string;
  readonly directory: string;
  readonly options: QueuedOptions & { readonly queue: string };
  readonly host: Host;
}

/** Runs the plan of some outputs; what other machines do is told apart. */
export type ConvertByQueue = (
  plan: ConversionPlan,
  outputs: readonly OutputRequest[],
  options: ConvertOptions & { readonly onQueueEvent: (event: QueueEvent) => void },
) => Promise<ConversionReport>;

/**
 * What converts a plan with the help of other machines.
 *
 * @throws QuernError `USAGE_QUEUE` for options that are for one machine, `QUEUE_ADDRESS_INVALID`
 */
export function convertByQueue(params: QueuedParams): ConvertByQueue {
  const { options, host } = params;
  if (options.rounding !== undefined || options.sequential === true) {
    throw new QuernError(
      "USAGE_QUEUE",
      `${options.rounding === undefined ? "--sequential" : "--rounding"} goes through a model block by block, each group of layers with what came before: that is work for one machine. Leave out --queue.`,
    );
  }
  parseQueueAddress(options.queue);
  return async (plan, outputs, { onQueueEvent, ...convertOptions }) => {
    const { signal = new AbortController().signal } = convertOptions;
    const connection = await connectToQueue(options.queue, host, signal);
    try {
      const root = options.root === undefined ? undefined : resolve(host.cwd, options.root);
      const delegate = delegateToQueue({
        connection,
        request: requestOf({ ...params, plan, outputs, root }),
        ...(root !== undefined && { root }),
        name: workerName,
        works: options.work,
        lease: options.lease * 1000,
        onEvent: onQueueEvent,
      });
      return await convert(plan, { ...convertOptions, delegate });
    } finally {
      connection.close();
    }
  };
}

/** What workers make the same plan from. */
function requestOf({
  model,
  outputs,
  directory,
  options,
  host,
  plan,
  root,
}: QueuedParams & {
  readonly plan: ConversionPlan;
  readonly outputs: readonly OutputRequest[];
  readonly root: string | undefined;
}): ConversionRequest {
  const share = (path: string): ReturnType<typeof sharePath> => sharePath(resolve(host.cwd, path), root);
  const { repository } = plan.identity.source;
  const imatrix = options.imatrix ?? options.statistics;
  const { includeWeights: include, excludeWeights: exclude } = options;
  return {
    // A repository at the commit that was found: a branch may be another one when workers look.
    model: repository === undefined ? { path: share(model) } : { repository },
    outputs: outputs.map((output, index) => {
      const origin = plan.outputs[index]!.manifest?.origin;
      // Workers write no manifests: what files say of their origin is metadata to them.
      return shareOutput(origin === undefined ? output : withProvenance(output, origin), share);
    }),
    directory: share(directory),
    measureErrors: plan.measuresErrors,
    ...(imatrix !== undefined && {
      importance: {
        path: share(imatrix),
        name: options.manifest ? basename(imatrix) : imatrix,
        ...(include && { include: [...include] }),
        ...(exclude && { exclude: [...exclude] }),
      },
    }),
    ...(options.pre !== undefined && { preTokenizer: options.pre }),
  };
}
