import type { CheckpointTensor } from "@quern/checkpoints";
import { localPaths, remoteBytes } from "@quern/checkpoints/node";
import { type Kernels, loadKernels } from "@quern/kernels";
import type { ManifestOrigin } from "@quern/manifest";
import { describeSource, expressionSources, type ModelDescription, type ModelTensor } from "@quern/models";
import { checkStatisticsModel } from "@quern/statistics";
import { elementCount, QuernError } from "@quern/tensor";
import { resolveThreads } from "@quern/threads";
import type { ConversionPlan, PlanParams } from "../plan.ts";
import type { OutputRequest } from "../recipe.ts";
import { checkSameConversion } from "../journal/check-journal.ts";
import { conversionIdentity } from "../journal/identity.ts";
import { describeOrigins } from "../provenance/describe-origins.ts";
import { withProvenance } from "../provenance/provenance-metadata.ts";
import { slabsInFlight } from "../conversion/slab-runner.ts";
import { conversionSeconds } from "./conversion-seconds.ts";
import type { FileContents } from "./file-contents.ts";
import { findHessians } from "./find-hessians.ts";
import { checkKernelTypes } from "./kernel-support.ts";
import { planFile } from "./plan-file.ts";
import { planOutputs } from "./plan-outputs.ts";
import { planRounding } from "./plan-rounding.ts";
import { estimatePeakMemory, memoryBudget } from "./resources.ts";
import { roundingName } from "./rounding-name.ts";
import { tensorsLeft } from "./tensors-left.ts";

/**
 * Finds out everything about a conversion that can be known without reading weights, and checks everything that can be
 * checked: what cannot be done fails here.
 *
 * @throws QuernError
 * - `PLAN_NO_OUTPUTS`, `PLAN_MEMORY`, `PLAN_THREADS` parameters out of range
 * - `PLAN_TRANSFORM_FOLLOWS`, `ROUNDING_TRANSFORM` transforms that cannot be
 * - `RECIPE_UNKNOWN`, `RECIPE_FLAVOUR`, `RECIPE_OPTION`, `RECIPE_PRUNE_LAYERS`, `RECIPE_UNSUPPORTED` outputs that cannot be
 * - `IMPORTANCE_REQUIRED`, `IMPORTANCE_MISMATCH` importance weights that are missing or do not fit
 * - `OUTPUT_DUPLICATE`, `OUTPUT_EXISTS`, `OUTPUT_IS_SOURCE`, `OUTPUT_NOT_A_FILE`, `OUTPUT_NOT_WRITABLE`, `OUTPUT_NO_SPACE` the
 *   files to write
 * - `OUTPUT_IN_USE` another process is writing them; `RESUME_OTHER_RUN` an interrupted run of another conversion has left them unfinished
 * - `TENSOR_TYPE_UNSUPPORTED` weights to quantize that are no floating-point numbers, or of a type that cannot be read
 * - `STATISTICS_OTHER_MODEL`, and the codes of `planBlockRounding` rounding by inputs that cannot be
 * - `STATISTICS_OTHER_MODEL` importance weights that were collected of another model
 * - the codes of `describeModel`, `describeGguf`, `selectQuantizedTypes`, `planGguf` and `loadKernels`
 */
export async function planConversion(params: PlanParams): Promise<ConversionPlan> {
  const { checkpoint, importance, preTokenizer, backend, force = false, restart = false } = params;
  const { measureErrors = false, directory = ".", companions = [] } = params;
  const memory = memoryBudget(params.memory);
  const threads = resolveThreads(params.threads);
  if (params.outputs.length === 0)
    throw new QuernError("PLAN_NO_OUTPUTS", "There is nothing to write: expected an output.");

  const model = await describeSource(checkpoint, preTokenizer === undefined ? {} : { preTokenizer });
  const warnings = [...model.warnings];
  checkStatisticsOf(params, model);
  const kernels = await loadKernels({ backend });
  const { requests, origins } = await requestsOf(params);
  const contents = requests.map((request) => contentsOf({ params, request, model, kernels }));
  const laidOut = await planOutputs({
    requests,
    contents,
    directory,
    companions,
    sources: localPaths(checkpoint.shards),
    force,
    restart,
    ...(origins && { origins }),
    checkPlaces: params.checkPlaces ?? true,
  });
  const { unfinished } = laidOut;
  warnings.push(...distinct(contents.flatMap((file) => file.warnings)), ...laidOut.warnings);

  const made = new Set(laidOut.outputs.flatMap(({ tensors }) => tensors.map(({ source }) => source)));
  const tensors = model.tensors.filter(({ name }) => made.has(name));
  const rounded = await planRounding({ params, model, tensors, outputs: laidOut.outputs, kernels, threads });
  const outputs = rounded?.outputs ?? laidOut.outputs;
  warnings.push(...(rounded?.warnings ?? []));
  const sources = sourcesOf(tensors, checkpoint.tensors);
  const sourceBytes = sources.reduce((sum, { size }) => sum + size, 0);
  const networkBytes = remoteBytes(sources, checkpoint.shards);
  const hessians = measureErrors ? await findHessians(importance, tensors) : undefined;
  const seconds =
    conversionSeconds({ kernels, outputs, tensors, hessians, threads, sourceBytes }) +
    (rounded?.seconds ?? 0);
  const network = networkBytes > 0;
  const lanes = slabsInFlight({ threads, memory, network });
  const peakMemory = Math.max(
    estimatePeakMemory({ threads, memory, slabsInFlight: lanes, hessians: hessians !== undefined, network }),
    rounded?.rounding.resources.peakMemory ?? 0,
  );
  const plan = {
    tool: params.tool ?? "quern",
    checkpoint,
    architecture: model.architecture,
    parameters: tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0),
    sourceBytes,
    networkBytes,
    tensors,
    outputs,
    warnings,
    measuresErrors: measureErrors,
    ...(hessians === undefined ? {} : { hessians }),
    force,
    restart,
    resumes: unfinished !== undefined,
    ...(importance === undefined ? {} : { importance }),
    ...(rounded && { rounding: rounded.rounding }),
    ...(backend === undefined ? {} : { backend }),
    kernels: kernels.info,
    resources: { threads, memory, slabsInFlight: lanes, peakMemory, seconds },
  };
  const identity = await conversionIdentity(plan);
  if (unfinished === undefined) return { ...plan, networkBytesLeft: networkBytes, identity };
  checkSameConversion(unfinished.state, identity);
  const left = sourcesOf(tensorsLeft({ ...plan, identity }, unfinished), checkpoint.tensors);
  return { ...plan, networkBytesLeft: remoteBytes(left, checkpoint.shards), identity };
}

/** Checks that whatever is known of inputs was collected of this model. */
function checkStatisticsOf(
  { checkpoint: { name }, importance, rounding }: PlanParams,
  { architecture, tensors }: ModelDescription,
): void {
  const model = { name, architecture, tensors };
  if (importance?.model !== undefined) {
    checkStatisticsModel({ statistics: { file: importance.file, model: importance.model }, model });
  }
  if (rounding?.statistics !== undefined) checkStatisticsModel({ statistics: rounding.statistics, model });
}

/** Outputs as they are asked for, with what their metadata says of where they come from. */
async function requestsOf(
  params: PlanParams,
): Promise<{ requests: readonly OutputRequest[]; origins?: readonly ManifestOrigin[] }> {
  const { outputs, provenance } = params;
  if (provenance === undefined) return { requests: outputs };
  const origins = await describeOrigins({ ...params, provenance });
  return { requests: outputs.map((output, index) => withProvenance(output, origins[index]!)), origins };
}

function contentsOf(context: {
  readonly params: PlanParams;
  readonly request: OutputRequest;
  readonly model: ModelDescription;
  readonly kernels: Kernels;
}): FileContents {
  const { params, request, model, kernels } = context;
  const { checkpoint: source, importance, rounding } = params;
  const contents = planFile({
    request,
    model,
    source,
    ...(importance === undefined ? {} : { importance }),
    ...(rounding && { rounding: roundingName(rounding) }),
  });
  checkKernelTypes({ kernels, model, contents });
  return contents;
}

/** Outputs of one model often have the same thing to say. */
function distinct(warnings: readonly QuernError[]): QuernError[] {
  return [...new Map(warnings.map((warning) => [warning.message, warning])).values()];
}

/** The tensors of the checkpoint that are read, each once. */
function sourcesOf(
  tensors: readonly ModelTensor[],
  sources: PlanParams["checkpoint"]["tensors"],
): CheckpointTensor[] {
  const names = new Set(tensors.flatMap(({ expression }) => expressionSources(expression)));
  return [...names].flatMap((name) => sources.get(name) ?? []);
}
