import { resolve } from "node:path";
import {
  modelCompatibility,
  planQuantizedCheckpoint,
  type QuantizedCheckpointPlan,
} from "@quern/checkpoints";
import { remoteBytes } from "@quern/checkpoints/node";
import { type Kernels, loadKernels } from "@quern/kernels";
import type { QuantizedLayer, StatisticsNeed } from "@quern/recipes";
import { type Statistics, statisticsInputs } from "@quern/statistics";
import { elementCount, QuernError, type TensorInfo } from "@quern/tensor";
import { resolveThreads } from "@quern/threads";
import type { LayeredModel } from "../linear-layers.ts";
import { listNames } from "../../name-list.ts";
import { describeCheckpointOrigin } from "../../provenance/describe-origins.ts";
import { originPairs } from "../../provenance/provenance-metadata.ts";
import type {
  CheckpointPlan,
  InputNeeds,
  PlanCheckpointParams,
  PlannedCopy,
  PlannedGroup,
  PlannedLinear,
  PlannedStage,
} from "../plan.ts";
import type { Target } from "../tasks/target.ts";
import { checkStatistics } from "./check-statistics.ts";
import { consumesHessian, groupBytes, layerResources } from "./memory.ts";
import { planChecks } from "./plan-checks.ts";
import { planFoldings } from "./plan-foldings.ts";
import { planRotation, untiedConfig } from "./plan-rotation.ts";
import { checkOutputFolder } from "./output-folder.ts";
import { type CheckedLinear, checkLinear } from "./plan-linear.ts";
import { type LinearGroup, linearStages } from "./stages.ts";
import { weightsOf } from "./weights-of.ts";

/** Reasons that a message has room for. */
const REASONS = 3;

/** Files that are found in a folder of their own. */
const MORE_TEMPLATES = "additional_chat_templates";

/**
 * Finds out everything about a quantized checkpoint that can be known without reading weights, and checks everything that can be checked.
 *
 * @throws QuernError
 * - `PLAN_MEMORY`, `PLAN_THREADS` parameters out of range
 * - `PLAN_ROTATION_IMPOSSIBLE`, `PLAN_TRANSFORMS_TOGETHER` as `planRotation`
 * - `PLAN_TRANSFORM_FOLLOWS` transforms, with inputs that follow what layers become
 * - `PLAN_NO_LAYERS` a model whose weights no format has a place for as they are stored
 * - `PLAN_LAYER_UNKNOWN` a decision about a layer that the model lacks
 * - `PLAN_STATISTICS_REQUIRED`, `PLAN_STATISTICS_TWICE`, `STATISTICS_OTHER_MODEL`, `STATISTICS_UNKNOWN_MODULE`,
 *   `STATISTICS_NOT_COLLECTED` inputs of which too little is known
 * - `PLAN_INCOMPATIBLE` what a loader that was asked for would refuse
 * - `QUANTIZE_COMBINATION`, `QUANTIZE_OPTION`, `QUANTIZE_UNKNOWN` treatments that make no sense
 * - `TENSOR_TYPE_UNSUPPORTED` weights that are no floating-point numbers
 * - `OUTPUT_*` as `checkOutputFolder`
 * - the codes of `planQuantizedCheckpoint`, `loadKernels`, and, where inputs matter, of `forwardModel` and `planForward`
 */
export async function planCheckpoint(params: PlanCheckpointParams): Promise<CheckpointPlan> {
  const { model, recipe, backend, statistics } = params;
  const kernels = await loadKernels({ backend });
  const layers = checkedLayers(params, kernels);
  const needsInputs =
    recipe.statistics !== "none" || layers.some(({ needs }) => needs.channels || needs.hessian);
  const unfit = unfitWarnings(model, layers.length);
  if (statistics !== undefined && params.inputs !== undefined) {
    throw new QuernError(
      "PLAN_STATISTICS_TWICE",
      "inputs are to be known from statistics, or otherwise, not both",
    );
  }
  if (needsInputs && statistics === undefined && params.inputs === undefined) {
    throw new QuernError(
      "PLAN_STATISTICS_REQUIRED",
      `${params.recipeName} needs statistics of what the layers of the model read: ${NEEDED[recipe.statistics]}`,
    );
  }
  const modules = model.linears.map(({ module }) => module);
  const planned = layers.map(({ linear: { module, rows, columns }, decision: { format, parameters } }) => ({
    module,
    format,
    parameters,
    shape: { rows, columns },
  }));
  checkLoaders(params, planned, modules);
  const rotation = planRotation({ model, transforms: recipe.transforms, layers });
  const { untied } = rotation ?? {};
  const paths = pathsOf(model);
  const origin = params.provenance && (await describeCheckpointOrigin(params, params.provenance));
  const checkpoint = planQuantizedCheckpoint({
    config: untied ? untiedConfig(model.config) : model.config,
    tensors: storedTensors(model, untied?.info),
    layers: planned.map(({ shape: _shape, ...layer }) => layer),
    linears: untied ? [...new Set([...modules, untied.module])] : modules,
    paths,
    quantizer: params.tool,
    ...(origin && { metadata: originPairs(origin) }),
    ...(params.maxShardSize === undefined ? {} : { maxShardSize: params.maxShardSize }),
  });
  const targets = targetsOf(checkpoint);
  const follows = params.inputs?.follows ?? false;
  const stages = linearStages({ model, layers, needsInputs }).map(({ groups, ...stage }): PlannedStage => ({
    ...stage,
    groups: groups.map((group) =>
      planGroup(group, { model, targets, follows, whole: rotation?.whole ?? new Set() }),
    ),
  }));
  const { foldings, warnings } = planFoldings({
    model,
    transforms: rotation === undefined ? recipe.transforms : [],
    layers: stages.flatMap(({ groups }) => groups.flatMap((group) => group.layers)),
    statistics,
  });
  if ((foldings.length > 0 || rotation !== undefined) && follows) {
    throw new QuernError(
      "PLAN_TRANSFORM_FOLLOWS",
      `${params.recipeName} has transforms, which want all inputs before any layer is quantized: they cannot be run along with the model`,
    );
  }
  const known = statistics === undefined ? [] : checkStatistics({ statistics, model, stages, foldings });
  const corrected = new Set(
    stages.flatMap(({ groups }) => groups.flatMap((group) => group.layers.map(({ bias }) => bias?.name))),
  );
  const checks = planChecks(
    model,
    rotation?.blocks ?? new Set(foldings.flatMap(({ folding }) => folding.layer ?? [])),
  );
  const resources = layerResources({
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
  const folder =
    params.checkPlaces === false
      ? { path: resolve(params.output), replaces: false }
      : await checkOutputFolder({
          output: params.output,
          files: [...shards, ...smallFiles(model, checkpoint)],
          source: model.checkpoint.folder,
          force: params.force ?? false,
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
  const fileSize = shards.reduce((sum, { size }) => sum + size, 0);
  const inputs = needsInputs ? (params.inputs ?? statisticsInputs(statistics!)) : undefined;
  return {
    model,
    recipe,
    recipeName: params.recipeName,
    folder: folder.path,
    replaces: folder.replaces,
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
    kept: modules.filter((module) => !planned.some((layer) => layer.module === module)),
    parameters,
    sourceBytes: model.checkpoint.totalBytes,
    networkBytes: remoteBytes(model.checkpoint.tensors.values(), model.checkpoint.shards),
    fileSize,
    bitsPerWeight: (fileSize * 8) / parameters,
    ...(inputs === undefined ? {} : { inputs }),
    warnings: [
      ...model.warnings,
      ...(recipe.warnings ?? []),
      ...unfit,
      ...warnings,
      ...known,
      ...(needsInputs || statistics === undefined ? [] : [unusedStatistics(statistics, params.recipeName)]),
    ],
    kernels: kernels.info,
    ...(backend === undefined ? {} : { backend }),
    resources,
    tool: params.tool,
    ...(params.baseModel === undefined ? {} : { baseModel: params.baseModel }),
    ...(params.publishedAs === undefined ? {} : { publishedAs: params.publishedAs }),
    ...(origin && { origin }),
  };
}

const NEEDED: Readonly<Record<StatisticsNeed, string>> = {
  none: "the largest magnitude of each column",
  channels: "figures of each column",
  hessian: "X^T X, and figures of each column",
};

function checkedLayers({ model, recipe }: PlanCheckpointParams, kernels: Kernels): CheckedLinear[] {
  const linears = new Map(model.linears.map((linear) => [linear.module, linear]));
  return recipe.decisions.flatMap((decision): CheckedLinear[] => {
    const linear = linears.get(decision.module);
    if (linear === undefined) {
      throw new QuernError("PLAN_LAYER_UNKNOWN", `"${decision.module}" is no linear layer of the model`, {
        subject: { tensor: decision.module },
      });
    }
    if (decision.keep === true) return [];
    return [
      checkLinear(linear, decision satisfies QuantizedLayer, {
        kernels,
        channels: recipe.statistics !== "none",
      }),
    ];
  });
}

/**
 * Weights that stay as they are although they are those of linear layers.
 *
 * @throws QuernError `PLAN_NO_LAYERS` where nothing else is left to quantize
 */
function unfitWarnings({ unfit }: LayeredModel, layers: number): QuernError[] {
  if (unfit.length === 0) return [];
  const reasons = [...new Set(unfit.map(({ reason }) => reason))];
  const names = unfit.map(({ tensor }) => tensor);
  const what = `${listNames(names, REASONS)} (${reasons.join("; ")})`;
  if (layers === 0) {
    throw new QuernError(
      "PLAN_NO_LAYERS",
      `there is nothing to quantize: no format of checkpoints has a place for ${what}; GGUF does`,
      { subject: { tensor: names[0]! } },
    );
  }
  return [
    new QuernError(
      "PLAN_WEIGHTS_LEFT",
      `${names.length} tensors of weights stay as they are, as no format of checkpoints has a place for them: ${what}`,
    ),
  ];
}

function unusedStatistics({ file }: Statistics, recipe: string): QuernError {
  return new QuernError(
    "STATISTICS_UNUSED",
    `${file}: ${recipe} looks at weights alone, so that statistics change nothing`,
    { subject: { file } },
  );
}

function checkLoaders(
  { loaders = [] }: PlanCheckpointParams,
  layers: Parameters<typeof modelCompatibility>[0]["layers"],
  linears: readonly string[],
): void {
  const reasons = loaders.flatMap((loader) => modelCompatibility({ layers, linears, loader }));
  if (reasons.length === 0) return;
  throw new QuernError("PLAN_INCOMPATIBLE", listNames([...new Set(reasons)], REASONS));
}

/** Tensors with the types in which they will be stored, unless they are quantized. */
function storedTensors({ tensors, dtype }: LayeredModel, output: TensorInfo | undefined): TensorInfo[] {
  const stored = [...tensors.values()].map(({ info, quantized }) =>
    quantized ? { ...info, type: dtype } : info,
  );
  return output === undefined ? stored : [...stored.filter(({ name }) => name !== output.name), output];
}

function pathsOf({ checkpoint: { files } }: LayeredModel): string[] {
  return [...files.list(""), ...files.list(MORE_TEMPLATES).map((name) => `${MORE_TEMPLATES}/${name}`)];
}

function smallFiles(
  { checkpoint }: LayeredModel,
  { files, copies }: QuantizedCheckpointPlan,
): { name: string; size: number }[] {
  return [
    ...[...files].map(([name, { byteLength: size }]) => ({ name, size })),
    ...copies.map((name) => ({ name, size: checkpoint.files.size(name) ?? 0 })),
  ];
}

/** Where each tensor lies, by name. */
function targetsOf({ shards: { shards } }: QuantizedCheckpointPlan): ReadonlyMap<string, Target> {
  return new Map(
    shards.flatMap(({ layout }, file) =>
      [...layout.tensors].map(([name, { offset }]): [string, Target] => [name, { file, offset }]),
    ),
  );
}

const FLOATS: ReadonlySet<string> = new Set(["F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"]);

function planGroup(
  group: LinearGroup,
  context: {
    readonly model: LayeredModel;
    readonly targets: ReadonlyMap<string, Target>;
    readonly follows: boolean;
    readonly whole: ReadonlySet<string>;
  },
): PlannedGroup {
  const needs = group.layers
    .map((layer) => layer.needs)
    .reduce((all, next): InputNeeds => ({
      channels: all.channels || next.channels,
      hessian: all.hessian || next.hessian,
      cross: all.cross || next.cross,
      heldOut: all.heldOut || next.heldOut,
      histogram: all.histogram || next.histogram,
    }));
  const { columns, module } = group.layers[0]!.linear;
  if (group.inputs === undefined && (needs.channels || needs.hessian)) {
    throw new QuernError(
      "STATISTICS_UNKNOWN_MODULE",
      `"${module}": nothing is known of its inputs, as the model is computed in another way; a rule can keep it as it is`,
      { subject: { tensor: module } },
    );
  }
  const consumes = consumesHessian(group.layers);
  return {
    ...(group.inputs && { inputs: group.inputs }),
    needs,
    consumesHessian: consumes,
    columns,
    layers: group.layers.map((layer) => planLinear(layer, context)),
    bytes: groupBytes({
      layers: group.layers,
      needs,
      consumesHessian: consumes,
      columns,
      follows: context.follows,
      whole: ({ linear }) => context.whole.has(`${linear.module}.weight`),
    }),
  };
}

function planLinear(
  { sharesLargest, ...checked }: CheckedLinear,
  { model, targets }: { readonly model: LayeredModel; readonly targets: ReadonlyMap<string, Target> },
): PlannedLinear {
  const { linear, decision } = checked;
  const weights = weightsOf(model, `${linear.module}.weight`);
  if (!FLOATS.has(weights.type)) {
    throw new QuernError(
      "TENSOR_TYPE_UNSUPPORTED",
      `Tensor "${weights.tensor}" is ${weights.type}: expected one of ${[...FLOATS].join(", ")}`,
      { subject: { tensor: weights.tensor } },
    );
  }
  const prefix = `${linear.module}.`;
  const own = [...targets].filter(([name]) => name.startsWith(prefix) && name !== linear.bias);
  return {
    ...checked,
    weights,
    targets: new Map(own.map(([name, target]) => [name.slice(prefix.length - 1), target])),
    ...(decision.correctBias && linear.bias !== undefined
      ? { bias: planCopy(model, linear.bias, { name: linear.bias, target: targets.get(linear.bias)! }) }
      : {}),
    ...(sharesLargest === undefined ? {} : { sharesLargest }),
  };
}

/** @param source Tensor that is read. */
function planCopy(
  model: LayeredModel,
  source: string,
  { name, target }: Pick<PlannedCopy, "name" | "target">,
): PlannedCopy {
  const weights = weightsOf(model, source);
  const type = model.tensors.get(source)!.quantized ? model.dtype : weights.type;
  return { name, weights, type, target };
}

/** @param params.untied Tensor that is made of another one. */
function copiesOf(params: {
  readonly model: LayeredModel;
  readonly checkpoint: QuantizedCheckpointPlan;
  readonly targets: ReadonlyMap<string, Target>;
  readonly untied: string | undefined;
}): PlannedCopy[] {
  const { model, checkpoint, targets, untied } = params;
  return [...checkpoint.origins].flatMap(([name, origin]) =>
    "copy" in origin && name !== untied
      ? [planCopy(model, origin.copy, { name, target: targets.get(name)! })]
      : [],
  );
}
