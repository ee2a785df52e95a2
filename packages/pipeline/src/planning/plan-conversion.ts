import type { CheckpointTensor } from "@quern/checkpoints";
import { localPaths, remoteBytes } from "@quern/checkpoints/node";
import { ggmlType } from "@quern/gguf";
import { loadKernels } from "@quern/kernels";
import { describeSource, expressionSources, isGguf, type ModelTensor } from "@quern/models";
import { checkStatisticsModel } from "@quern/statistics";
import { elementCount, QuernError } from "@quern/tensor";
import { resolveThreads } from "@quern/threads";
import type { ConversionPlan, PlannedOutput, PlanParams, ModelSource, RoundingRequest } from "../plan.ts";
import type { LayeredModel } from "../layers/linear-layers.ts";
import { checkSameConversion } from "../journal/check-journal.ts";
import { conversionIdentity } from "../journal/identity.ts";
import { describeOrigins } from "../provenance/describe-origins.ts";
import { withProvenance } from "../provenance/provenance-metadata.ts";
import { estimateSeconds } from "./duration.ts";
import { findHessians } from "./find-hessians.ts";
import { checkKernelTypes } from "./kernel-support.ts";
import { planFile } from "./plan-file.ts";
import { planOutputs } from "./plan-outputs.ts";
import { slabsInFlight } from "../conversion/slab-runner.ts";
import { estimatePeakMemory, memoryBudget } from "./resources.ts";
import { roundingName } from "./rounding-name.ts";

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
  const { checkpoint, importance, backend, force = false, restart = false, directory = "." } = params;
  const { measureErrors = false, companions = [] } = params;
  const memory = memoryBudget(params.memory);
  const threads = resolveThreads(params.threads);
  if (params.outputs.length === 0)
    throw new QuernError("PLAN_NO_OUTPUTS", "There is nothing to write: expected an output.");

  const warnings: QuernError[] = [];
  const model = await describeSource(params.checkpoint, {
    onWarning: (warning) => warnings.push(warning),
    ...(params.preTokenizer === undefined ? {} : { preTokenizer: params.preTokenizer }),
  });
  if (importance?.model !== undefined) {
    const { architecture, tensors } = model;
    checkStatisticsModel({
      statistics: { file: importance.file, model: importance.model },
      model: { name: checkpoint.name, architecture, tensors },
    });
  }
  if (params.rounding?.statistics !== undefined) {
    const { architecture, tensors } = model;
    const { statistics } = params.rounding;
    checkStatisticsModel({ statistics, model: { name: checkpoint.name, architecture, tensors } });
  }
  const kernels = await loadKernels({ backend });
  const origins = params.provenance && (await describeOrigins({ ...params, provenance: params.provenance }));
  const requests = origins
    ? params.outputs.map((one, i) => withProvenance(one, origins[i]!))
    : params.outputs;
  const contents = requests.map((request) => {
    const file = planFile({
      request,
      model,
      source: checkpoint,
      ...(importance === undefined ? {} : { importance }),
      ...(params.rounding && { rounding: roundingName(params.rounding) }),
    });
    checkKernelTypes({ kernels, model, contents: file });
    return file;
  });
  const {
    outputs: laidOut,
    unfinished,
    warnings: outputWarnings,
  } = await planOutputs({
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
  warnings.push(...distinct(contents.flatMap((file) => file.warnings)), ...outputWarnings);

  const made = new Set(laidOut.flatMap(({ tensors }) => tensors.map(({ source }) => source)));
  const tensors = model.tensors.filter(({ name }) => made.has(name));
  const rounded =
    params.rounding &&
    (await loadRounding()).planBlockRounding({
      request: params.rounding,
      layered: await layeredFor(params.rounding, checkpoint),
      model,
      source: checkpoint,
      tensors,
      outputs: laidOut,
      measuresOutputs: measureErrors,
      kernels,
      memory: params.memory,
      threads,
    });
  const outputs = rounded?.outputs ?? laidOut;
  warnings.push(...(rounded?.warnings ?? []));
  const parameters = tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const sources = sourcesOf(tensors, checkpoint.tensors);
  const sourceBytes = sources.reduce((sum, { size }) => sum + size, 0);
  const networkBytes = remoteBytes(sources, checkpoint.shards);
  const hessians = measureErrors ? await findHessians(importance, tensors) : undefined;
  const seconds = estimateSeconds({
    kernels,
    loads: outputs.flatMap(({ tensors }) =>
      tensors
        .filter(({ packed, rounding }) => !packed && rounding === undefined)
        .map(({ ne, ...conversion }) => ({ ...conversion, elements: elementCount(ne) })),
    ),
    hessians: tensors
      .filter(({ name }) => hessians?.modules.has(name))
      .map(({ name, shape }) => ({
        elements: elementCount(shape),
        columns: shape.at(-1)!,
        matrices: 1 + outputs.filter((output) => changesTensor(output, name)).length,
      })),
    threads,
    bytes: outputs.reduce((sum, { fileSize }) => sum + fileSize, sourceBytes),
  });
  const roundingSeconds = rounded
    ? (await loadRounding()).estimateRoundingSeconds({ kernels, rounding: rounded.rounding })
    : 0;
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
    parameters,
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
    resources: { threads, memory, slabsInFlight: lanes, peakMemory, seconds: seconds + roundingSeconds },
  };
  const identity = await conversionIdentity(plan);
  if (unfinished !== undefined) checkSameConversion(unfinished, identity);
  return { ...plan, identity };
}

/** What plans rounding by inputs is loaded only where that is asked for: most conversions round as ggml does. */
function loadRounding(): Promise<typeof import("./rounding.ts")> {
  return import("./rounding.ts");
}

/** Whether weights become others, as far as types tell. */
function changesTensor({ tensors }: PlannedOutput, name: string): boolean {
  return tensors.some(
    ({ source, packed, type }) => source === name && !packed && ggmlType(type).blockSize > 1,
  );
}

/** The checkpoint as layers, where transforms are to be folded into it. */
async function layeredFor(
  { transforms = [] }: RoundingRequest,
  source: ModelSource,
): Promise<LayeredModel | undefined> {
  if (transforms.length === 0) return undefined;
  if (!isGguf(source)) return (await loadRounding()).openLayeredModel(source);
  throw new QuernError(
    "ROUNDING_TRANSFORM",
    "factors are folded into checkpoints: of GGUF it is not known which layers are divided by them",
    { subject: { key: "transforms" } },
  );
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
