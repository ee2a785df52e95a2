import { basename } from "node:path";
import {
  convert,
  type ConversionPlan,
  type ConversionReport,
  type ConvertOptions,
  type OutputRequest,
} from "@quern/pipeline";
import { withProvenance } from "@quern/pipeline/provenance";
import { type ConversionRequest, type QueueEvent, shareConversion, shareOutput } from "@quern/queue";
import { checkQueued, type QueueUse, sharedModel, type SharePath, withQueue } from "./by-queue.ts";
import { transformsOf } from "./rounding-options.ts";
import type { ModelOptions, QuantizationOptions } from "./shared-options.ts";

/** Options of conversions that go by a queue. */
type ConversionOptions = QuantizationOptions & ModelOptions & { readonly manifest?: true };

export interface QueuedConversionParams extends QueueUse<ConversionOptions> {
  readonly model: string;
  readonly directory: string;
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
 * @throws QuernError as `checkQueued`
 */
export function convertByQueue(params: QueuedConversionParams): ConvertByQueue {
  checkQueued(params);
  return (plan, outputs, { onQueueEvent, ...options }) =>
    withQueue(
      {
        ...params,
        share: shareConversion,
        request: (share) => requestOf({ ...params, plan, outputs }, share),
        signal: options.signal,
        onQueueEvent,
      },
      (delegate) => convert(plan, { ...options, delegate }),
    );
}

/** What workers make the same plan from. */
function requestOf(
  {
    model,
    outputs,
    directory,
    options,
    plan,
  }: QueuedConversionParams & {
    readonly plan: ConversionPlan;
    readonly outputs: readonly OutputRequest[];
  },
  share: SharePath,
): ConversionRequest {
  const { repository } = plan.identity.source;
  const imatrix = options.imatrix ?? options.statistics;
  const { rounding, statistics } = options;
  const { includeWeights: include, excludeWeights: exclude } = options;
  return {
    container: "gguf",
    model: sharedModel({ model, repository }, share),
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
    ...(rounding !== undefined &&
      statistics !== undefined && {
        rounding: {
          method: { name: rounding },
          transforms: [...transformsOf(options)],
          statistics: share(statistics),
        },
      }),
  };
}
