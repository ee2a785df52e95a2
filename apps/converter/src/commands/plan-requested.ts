import { openCheckpointDirectory, openModel } from "@quern/checkpoints/node";
import { planConversion } from "@quern/pipeline";
import {
  type CheckpointRequest,
  type ConversionRequest,
  localPath,
  requestedOutput,
  type RunRequest,
  shareConversion,
  type SharedPath,
  type SharedPlan,
} from "@quern/queue";
import { openStatistics, readImportance, selectImportance, type Statistics } from "@quern/statistics";
import type { Host } from "../host.ts";
import { tool } from "../version.ts";
import { openNamedCheckpoint, openNamedModel } from "./open-named.ts";
import type { MessageOptions } from "./run-reported.ts";
import type { ResourceOptions } from "./shared-options.ts";

interface PlanRequestedParams<Request> {
  readonly request: Request;
  /** Absolute. */
  readonly root: string | undefined;
  readonly options: ResourceOptions & Partial<MessageOptions>;
  readonly host: Host;
}

/**
 * Plans what another machine asks for, with the resources of this one.
 *
 * @throws QuernError what opening and planning throw, and `localPath`
 */
export function planRequested({ request, ...context }: PlanRequestedParams<RunRequest>): Promise<SharedPlan> {
  return request.container === "gguf"
    ? planRequestedConversion({ request, ...context })
    : planRequestedCheckpoint({ request, ...context });
}

async function planRequestedConversion(params: PlanRequestedParams<ConversionRequest>): Promise<SharedPlan> {
  const { request, root, options, host } = params;
  const { model, importance: wanted, preTokenizer } = request;
  const locate = (path: SharedPath): string => localPath(path, root);
  const { include, exclude } = wanted ?? {};
  const importance =
    wanted &&
    selectImportance(await readImportance(locate(wanted.path), { name: wanted.name }), {
      ...(include && { include }),
      ...(exclude && { exclude }),
    });
  const statistics = request.rounding && (await openStatistics(locate(request.rounding.statistics)));
  return closing(statistics, async () => {
    const plan = await planConversion({
      checkpoint:
        "repository" in model
          ? await openNamedModel(model.repository, host, options)
          : await openModel(locate(model.path)),
      outputs: request.outputs.map((output) => requestedOutput(output, locate)),
      directory: locate(request.directory),
      // Whether files may be replaced, the coordinator has decided: it alone gives them their names.
      force: true,
      checkPlaces: false,
      measureErrors: request.measureErrors,
      tool,
      ...(importance && { importance }),
      ...(preTokenizer !== undefined && { preTokenizer }),
      ...(request.rounding &&
        statistics && {
          rounding: {
            method: request.rounding.method,
            transforms: request.rounding.transforms ?? [],
            statistics,
          },
        }),
      ...resources(options),
    });
    return shareConversion(plan);
  });
}

async function planRequestedCheckpoint(params: PlanRequestedParams<CheckpointRequest>): Promise<SharedPlan> {
  const { request, root, options, host } = params;
  const { model, origin, folder, baseModel } = request;
  const locate = (path: SharedPath): string => localPath(path, root);
  const [{ planCheckpointAgain }, { shareCheckpoint }] = await Promise.all([
    import("@quern/pipeline/layers"),
    import("@quern/queue/checkpoints"),
  ]);
  const source =
    "repository" in model
      ? await openNamedCheckpoint(model.repository, host, options)
      : await openCheckpointDirectory(locate(model.path));
  const statistics = request.statistics && (await openStatistics(locate(request.statistics)));
  return closing(statistics, async () => {
    const plan = await planCheckpointAgain({
      origin,
      source,
      folder: locate(folder),
      ...(statistics && { statistics }),
      ...(baseModel !== undefined && { baseModel }),
      ...resources(options),
    });
    return shareCheckpoint(plan);
  });
}

/** A plan that closes the statistics it is made from, as its making does when it fails. */
async function closing(
  statistics: Statistics | undefined,
  make: () => Promise<SharedPlan>,
): Promise<SharedPlan> {
  const close = async (): Promise<void> => statistics?.close();
  try {
    return { ...(await make()), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What a plan may use of this machine. */
function resources({ memory, threads, kernels }: ResourceOptions): {
  memory?: number;
  threads?: number;
  backend?: NonNullable<typeof kernels>;
} {
  return {
    ...(memory !== undefined && { memory }),
    ...(threads !== undefined && { threads }),
    ...(kernels !== undefined && { backend: kernels }),
  };
}
