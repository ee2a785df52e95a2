import { openModel } from "@quern/checkpoints/node";
import { type ConversionPlan, planConversion } from "@quern/pipeline";
import { type ConversionRequest, localPath, requestedOutput, type SharedPath } from "@quern/queue";
import { readImportance, selectImportance } from "@quern/statistics";
import type { Host } from "../host.ts";
import { tool } from "../version.ts";
import { openNamedModel } from "./open-named.ts";
import type { ResourceOptions } from "./shared-options.ts";

/**
 * Plans what another machine asks for, with the resources of this one.
 *
 * @throws QuernError what opening and planning throw, and `localPath`
 */
export async function planRequested(params: {
  readonly request: ConversionRequest;
  /** Absolute. */
  readonly root: string | undefined;
  readonly options: ResourceOptions;
  readonly host: Host;
}): Promise<ConversionPlan> {
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
  return planConversion({
    checkpoint:
      "repository" in model
        ? await openNamedModel(model.repository, host)
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
    ...(options.memory !== undefined && { memory: options.memory }),
    ...(options.threads !== undefined && { threads: options.threads }),
    ...(options.kernels !== undefined && { backend: options.kernels }),
  });
}
