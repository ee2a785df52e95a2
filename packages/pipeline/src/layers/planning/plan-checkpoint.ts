import { resolve } from "node:path";
import { LOADERS, modelCompatibility, planQuantizedCheckpoint } from "@quern/checkpoints";
import { remoteBytes } from "@quern/checkpoints/node";
import { loadKernels } from "@quern/kernels";
import { elementCount } from "@quern/tensor";
import { resolveThreads } from "@quern/threads";
import { describeCheckpointOrigin } from "../../provenance/describe-origins.ts";
import { originPairs } from "../../provenance/provenance-metadata.ts";
import type { CheckpointPlan, PlanCheckpointParams, PlannedCopy, PlannedStage } from "../plan.ts";
import { checkSameCheckpoint } from "../../journal/check-journal.ts";
import { checkpointIdentity } from "../checkpoint-identity.ts";
import { checkChangesAlong } from "./check-changes-along.ts";
import { checkedLayers, checkLoaders, unfitWarnings } from "./check-recipe.ts";
import { checkStatistics } from "./check-statistics.ts";
import { layerResources } from "./memory.ts";
import { checkOutputFolder, type OutputFolder } from "./output-folder.ts";
import { planChecks } from "./plan-checks.ts";
import { copiesOf, storedTensors } from "./plan-copies.ts";
import { planFoldings } from "./plan-foldings.ts";
import { planGroup } from "./plan-group.ts";
import { planInputs } from "./plan-inputs.ts";
import { planRotation, untiedConfig } from "./plan-rotation.ts";
import { pathsOf, smallFiles, targetsOf } from "./planned-files.ts";
import { linearStages } from "./stages.ts";

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
  const modules = model.linears.map(({ module }) => module);
  const planned = layers.map(({ linear: { module, rows, columns, expert }, decision }) => ({
    module,
    format: decision.format,
    parameters: decision.parameters,
    shape: { rows, columns },
    expert,
  }));
  checkLoaders(params, planned, modules);
  const loadedBy = LOADERS.filter(
    (loader) => modelCompatibility({ layers: planned, linears: modules, loader }).length === 0,
  );
  const rotation = planRotation({ model, transforms: recipe.transforms, layers });
  const { untied } = rotation ?? {};
  const paths = pathsOf(model);
  const origin = params.provenance && (await describeCheckpointOrigin(params, params.provenance));
  const checkpoint = planQuantizedCheckpoint({
    config: untied ? untiedConfig(model.config) : model.config,
    tensors: storedTensors(model, { layers, output: untied?.info }),
    layers: planned.map(({ module, format, parameters }) => ({ module, format, parameters })),
    stacks: model.stacks,
    linears: untied ? [...new Set([...modules, untied.module])] : modules,
    paths,
    quantizer: params.tool,
    ...(origin && { metadata: originPairs(origin) }),
    ...(params.maxShardSize === undefined ? {} : { maxShardSize: params.maxShardSize }),
  });
  const targets = targetsOf(checkpoint);
  const follows = params.inputs?.follows ?? false;
  const stages = linearStages({ model, layers, needsInputs: inputs.needed }).map(
    ({ groups, ...stage }): PlannedStage => ({
      ...stage,
      groups: groups.map((group) =>
        planGroup(group, { model, targets, follows, whole: rotation?.whole ?? new Set() }),
      ),
    }),
  );
  const { foldings, warnings } = planFoldings({
    model,
    transforms: rotation === undefined ? recipe.transforms : [],
    layers: stages.flatMap(({ groups }) => groups.flatMap((group) => group.layers)),
    statistics,
    inputs: inputs.source,
  });
  if ((foldings.length > 0 || rotation !== undefined) && inputs.source?.follows === true) {
    checkChangesAlong({ name: params.recipeName, inputs: inputs.source, foldings });
  }
  const known = statistics === undefined ? [] : checkStatistics({ statistics, model, stages, foldings });
  const corrected = new Set(
    stages.flatMap(({ groups }) => groups.flatMap((group) => group.layers.map(({ bias }) => bias?.name))),
  );
  const checks = planChecks(
    model,
    rotation?.blocks ?? new Set(foldings.flatMap(({ folding }) => folding.layer ?? [])),
  );
  const networkBytes = remoteBytes(model.checkpoint.tensors.values(), model.checkpoint.shards);
  const resources = layerResources({
    network: networkBytes > 0,
    memory: params.memory,
    threads: resolveThreads(params.threads),
    stages,
    foldings,
    checks,
    wholeWeights: [...(rotation?.whole ?? [])].reduce(
      (most, name) => Math.max(most, elementCount(model.tensors.get(name)!.info.shape)),
      0,
    ),
  });
  const shards = checkpoint.shards.shards.map(({ fileName, layout }) => ({
    name: fileName,
    size: layout.fileSize,
  }));
  const folder: OutputFolder =
    params.checkPlaces === false
      ? { path: resolve(params.output), replaces: false }
      : await checkOutputFolder({
          output: params.output,
          files: [...shards, ...smallFiles(model, checkpoint)],
          source: model.checkpoint.folder,
          force: params.force ?? false,
          restart,
        });
  const output: PlannedCopy | undefined = untied && {
    name: untied.info.name,
    weights: untied.embedding,
    type: untied.info.type,
    target: targets.get(untied.info.name)!,
  };
  const parameters = [...model.tensors.values(), ...(untied ? [untied] : [])].reduce(
    (sum, { info }) => sum + elementCount(info.shape),
    0,
  );
  const quantized = new Set(planned.map(({ module }) => module));
  const fileSize = shards.reduce((sum, { size }) => sum + size, 0);
  const plan: Omit<CheckpointPlan, "identity"> = {
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
    copies: [
      ...copiesOf({ model, checkpoint, targets, untied: untied?.info.name }).filter(
        ({ name }) => !corrected.has(name),
      ),
      ...(output ? [output] : []),
    ],
    ...(output && { untied: output }),
    kept: modules.filter((module) => !quantized.has(module)),
    parameters,
    sourceBytes: model.checkpoint.totalBytes,
    networkBytes,
    fileSize,
    bitsPerWeight: (fileSize * 8) / parameters,
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
  if (folder.unfinished !== undefined) checkSameCheckpoint(folder.unfinished.journal, identity ?? {});
  return { ...plan, ...(identity && { identity }) };
}
