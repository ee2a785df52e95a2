import { LOADERS, modelCompatibility, type QuantizedCheckpointPlan } from "@quern/checkpoints";
import { remoteBytes } from "@quern/checkpoints/node";
import { loadKernels } from "@quern/kernels";
import { elementCount } from "@quern/tensor";
import { resolveThreads } from "@quern/threads";
import { checkSameCheckpoint } from "../../journal/check-journal.ts";
import { describeCheckpointOrigin } from "../../provenance/describe-origins.ts";
import { checkpointIdentity } from "../checkpoint-identity.ts";
import type { LayeredModel } from "../linear-layers.ts";
import type { CheckpointPlan, PlanCheckpointParams, PlannedStage } from "../plan.ts";
import type { Target } from "../tasks/target.ts";
import { checkChangesAlong } from "./check-changes-along.ts";
import { checkedLayers, checkLoaders, unfitWarnings } from "./check-recipe.ts";
import { checkStatistics } from "./check-statistics.ts";
import { layOut, placeFolder, storedLayer } from "./lay-out.ts";
import { layerResources } from "./memory.ts";
import { planChecks } from "./plan-checks.ts";
import { copiesOf } from "./plan-copies.ts";
import { planFoldings } from "./plan-foldings.ts";
import { planGroup } from "./plan-group.ts";
import { type PlannedInputs, planInputs } from "./plan-inputs.ts";
import type { CheckedLinear } from "./plan-linear.ts";
import { type PlannedRotation, planRotation } from "./plan-rotation.ts";
import { targetsOf } from "./planned-files.ts";
import { linearStages } from "./stages.ts";
import { weightsLeft } from "./weights-left.ts";

/**
 * Finds out everything about a quantized checkpoint that can be known without reading weights, and checks everything that can be checked.
 *
 * @throws QuernError
 * - `PLAN_MEMORY`, `PLAN_THREADS` parameters out of range
 * - `PLAN_ROTATION_IMPOSSIBLE`, `PLAN_TRANSFORMS_TOGETHER` as `planRotation`
 * - `PLAN_TRANSFORM_FOLLOWS` transforms, with a source whose inputs follow what layers become and that cannot run a changed model
 * - `PLAN_NO_LAYERS` a model whose weights no format has a place for as they are stored
 * - `PLAN_LAYER_UNKNOWN` a decision about a layer that the model lacks
 * - `PLAN_STATISTICS_REQUIRED`, `PLAN_STATISTICS_TWICE`, `STATISTICS_OTHER_MODEL`, `STATISTICS_UNKNOWN_MODULE`,
 *   `STATISTICS_NOT_COLLECTED` inputs of which too little is known
 * - `PLAN_INCOMPATIBLE` what a loader that was asked for would refuse
 * - `QUANTIZE_COMBINATION`, `QUANTIZE_OPTION`, `QUANTIZE_UNKNOWN` treatments that make no sense
 * - `TENSOR_TYPE_UNSUPPORTED` weights that are no floating-point numbers
 * - `OUTPUT_*` as `checkOutputFolder`; `RESUME_OTHER_RUN` another run has left the folder unfinished
 * - the codes of `planQuantizedCheckpoint`, `loadKernels`, and, where inputs matter, of `forwardModel` and `planForward`
 */
export async function planCheckpoint(params: PlanCheckpointParams): Promise<CheckpointPlan> {
  const { model, recipe, backend, statistics, restart = false } = params;
  const kernels = await loadKernels({ backend });
  const layers = checkedLayers(params, kernels);
  const unfit = unfitWarnings(model, layers.length);
  const inputs = planInputs(params, layers);
  const linears = model.linears.map(({ module }) => module);
  const stored = { layers: layers.map(storedLayer), linears };
  checkLoaders(params, stored.layers, linears);
  const loadedBy = LOADERS.filter((loader) => modelCompatibility({ ...stored, loader }).length === 0);
  const rotation = planRotation({ model, transforms: recipe.transforms, layers });
  const origin = params.provenance && (await describeCheckpointOrigin(params, params.provenance));
  const checkpoint = layOut({ params, layers, rotation, origin });
  const targets = targetsOf(checkpoint);
  const stages = planStages({ params, layers, inputs, rotation, targets });
  const { foldings, warnings } = planChanges({ params, stages, inputs, rotation });
  const known = statistics === undefined ? [] : checkStatistics({ statistics, model, stages, foldings });
  const checks = planChecks(
    model,
    rotation?.blocks ?? new Set(foldings.flatMap(({ folding }) => folding.layer ?? [])),
  );
  const sizes = sizesOf({ model, checkpoint, rotation });
  const resources = layerResources({
    network: sizes.networkBytes > 0,
    memory: params.memory,
    threads: resolveThreads(params.threads),
    stages,
    foldings,
    checks,
    wholeWeights: Math.max(0, ...[...(rotation?.whole ?? [])].map((name) => elementsOf(model, name))),
  });
  const folder = await placeFolder(params, checkpoint);
  const copies = planCopies({ model, checkpoint, targets, stages, rotation });
  const quantized = new Set(layers.map(({ linear }) => linear.module));
  const plan: Omit<CheckpointPlan, "identity" | "networkBytesLeft"> = {
    model,
    recipe,
    recipeName: params.recipeName,
    folder: folder.path,
    replaces: folder.replaces,
    restart,
    resumes: folder.unfinished !== undefined,
    checkpoint,
    stages,
    foldings,
    checks,
    ...(rotation && { rotation }),
    ...copies,
    kept: linears.filter((module) => !quantized.has(module)),
    ...sizes,
    ...(inputs.source && { inputs: inputs.source }),
    warnings: [
      ...model.warnings,
      ...(recipe.warnings ?? []),
      ...unfit,
      ...warnings,
      ...known,
      ...inputs.warnings,
    ],
    kernels: kernels.info,
    ...(backend === undefined ? {} : { backend }),
    resources,
    tool: params.tool,
    ...(params.baseModel === undefined ? {} : { baseModel: params.baseModel }),
    ...(params.publishedAs === undefined ? {} : { publishedAs: params.publishedAs }),
    loadedBy,
    ...(origin && { origin }),
  };
  const identity = await checkpointIdentity(plan);
  const { unfinished } = folder;
  let networkBytesLeft = sizes.networkBytes;
  if (unfinished !== undefined) {
    checkSameCheckpoint(unfinished.journal, identity ?? {});
    networkBytesLeft = remoteBytes(weightsLeft(plan, unfinished.journal.entries), model.checkpoint.shards);
  }
  return { ...plan, networkBytesLeft, ...(identity && { identity }) };
}

/** Layers group by group, in the order of the computation, with the places of their tensors. */
function planStages(context: {
  readonly params: PlanCheckpointParams;
  readonly layers: readonly CheckedLinear[];
  readonly inputs: PlannedInputs;
  readonly rotation: PlannedRotation | undefined;
  readonly targets: ReadonlyMap<string, Target>;
}): PlannedStage[] {
  const { params, layers, inputs, rotation, targets } = context;
  const { model } = params;
  const placed = {
    model,
    targets,
    follows: params.inputs?.follows ?? false,
    whole: rotation?.whole ?? new Set<string>(),
  };
  return linearStages({ model, layers, needsInputs: inputs.needed }).map(({ groups, ...stage }) => ({
    ...stage,
    groups: groups.map((group) => planGroup(group, placed)),
  }));
}

/** What transforms change of the model, and whether inputs can be had of a model that is changed. */
function planChanges(context: {
  readonly params: PlanCheckpointParams;
  readonly stages: readonly PlannedStage[];
  readonly inputs: PlannedInputs;
  readonly rotation: PlannedRotation | undefined;
}): ReturnType<typeof planFoldings> {
  const { params, stages, inputs, rotation } = context;
  const { model, recipe, recipeName: name, statistics } = params;
  const planned = planFoldings({
    model,
    transforms: rotation === undefined ? recipe.transforms : [],
    layers: stages.flatMap(({ groups }) => groups.flatMap((group) => group.layers)),
    statistics,
    inputs: inputs.source,
  });
  const { foldings } = planned;
  if ((foldings.length > 0 || rotation !== undefined) && inputs.source?.follows === true) {
    checkChangesAlong({ name, inputs: inputs.source, foldings });
  }
  return planned;
}

/** Tensors that are copied. */
function planCopies(context: {
  readonly model: LayeredModel;
  readonly checkpoint: QuantizedCheckpointPlan;
  readonly targets: ReadonlyMap<string, Target>;
  readonly stages: readonly PlannedStage[];
  readonly rotation: PlannedRotation | undefined;
}): Pick<CheckpointPlan, "copies" | "untied"> {
  const { model, checkpoint, targets, stages } = context;
  const { info, embedding } = context.rotation?.untied ?? {};
  const corrected = new Set(
    stages.flatMap(({ groups }) => groups.flatMap((group) => group.layers.map(({ bias }) => bias?.name))),
  );
  const copies = copiesOf({ model, checkpoint, targets, untied: info?.name }).filter(
    ({ name }) => !corrected.has(name),
  );
  if (info === undefined) return { copies };
  const { name, type } = info;
  const untied = { name, weights: embedding!, type, target: targets.get(name)! };
  return { copies: [...copies, untied], untied };
}

function sizesOf(context: {
  readonly model: LayeredModel;
  readonly checkpoint: QuantizedCheckpointPlan;
  readonly rotation: PlannedRotation | undefined;
}): Pick<CheckpointPlan, "parameters" | "sourceBytes" | "networkBytes" | "fileSize" | "bitsPerWeight"> {
  const { model, checkpoint, rotation } = context;
  const { tensors, shards, totalBytes: sourceBytes } = model.checkpoint;
  const stored = [...model.tensors.values(), ...(rotation?.untied ? [rotation.untied] : [])];
  const parameters = stored.reduce((sum, { info }) => sum + elementCount(info.shape), 0);
  const fileSize = checkpoint.shards.shards.reduce((sum, { layout }) => sum + layout.fileSize, 0);
  return {
    parameters,
    sourceBytes,
    networkBytes: remoteBytes(tensors.values(), shards),
    fileSize,
    bitsPerWeight: (fileSize * 8) / parameters,
  };
}

/** Of a tensor of the model. */
function elementsOf({ tensors }: LayeredModel, name: string): number {
  return elementCount(tensors.get(name)!.info.shape);
}
