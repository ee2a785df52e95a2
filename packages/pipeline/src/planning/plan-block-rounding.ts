import { remoteBytes } from "@quern/checkpoints/node";
import type { Kernels } from "@quern/kernels";
import { rowSize } from "@quern/gguf";
import {
  expressionSources,
  forwardModel,
  linearInputs,
  type LinearInputs,
  type ModelDescription,
  type ModelTensor,
  planForward,
} from "@quern/models";
import {
  BLOCK_TYPES,
  GGML_ROUNDING,
  membersOf,
  type MemberSpec,
  refuseCombination,
  type Treatment,
} from "@quern/quantize";
import { type InputSource, type Statistics, statisticsInputs } from "@quern/statistics";
import { QuernError } from "@quern/tensor";
import { weightType } from "../conversion/weight-type.ts";
import { type BlockRounding, type PlannedBlockMatrix, seesTooFew } from "../layers/block-plan.ts";
import type { LayeredModel } from "../layers/linear-layers.ts";
import type { InputNeeds, PlannedGroup, PlannedStage } from "../layers/plan.ts";
import { consumesHessian, inputBytes, layerResources } from "../layers/planning/memory.ts";
import { preparation } from "../layers/planning/plan-linear.ts";
import { checkParentInputs } from "../layers/planning/plan-parents.ts";
import type { Target } from "../layers/tasks/target.ts";
import type { ModelSource, PlannedOutput, PlannedTensor, RoundingRequest } from "../plan.ts";
import { planRoundingFoldings } from "./plan-rounding-foldings.ts";
import { blockRoundingWarnings } from "./block-rounding-warnings.ts";

export interface BlockRoundingPlan {
  readonly rounding: BlockRounding;
  /** The outputs, whose tensors say how they are rounded. */
  readonly outputs: readonly PlannedOutput[];
  readonly warnings: readonly QuernError[];
}

/**
 * Finds the tensors of outputs that can be rounded by what is known of their inputs: linear layers of the blocks, of types whose blocks
 * roundings know.
 *
 * @param params.tensors Of the plan.
 * @throws QuernError `ROUNDING_NOWHERE` where there are none, `ROUNDING_OUTPUTS` for several outputs where inputs follow what layers
 * become, `PLAN_STATISTICS_REQUIRED`, `PLAN_STATISTICS_TWICE`, `STATISTICS_NOT_COLLECTED`, `QUANTIZE_*`, `PLAN_MEMORY`, and the codes of
 * `forwardModel` and `planForward`
 */
export function planBlockRounding(params: {
  readonly request: RoundingRequest;
  /** The checkpoint as layers, where transforms are folded into it. */
  readonly layered: LayeredModel | undefined;
  readonly model: ModelDescription;
  readonly source: ModelSource;
  readonly tensors: readonly ModelTensor[];
  readonly outputs: readonly PlannedOutput[];
  /** Whether errors of outputs are measured with Hessians, too. */
  readonly measuresOutputs: boolean;
  readonly kernels: Kernels;
  readonly memory: number | undefined;
  readonly threads: number;
}): BlockRoundingPlan {
  const { request, model, outputs } = params;
  const { statistics } = request;
  const inputs = inputSource(request, outputs);
  const method = methodFor(request.method);
  const candidates = candidatesOf(params);
  const graph = planForward(forwardModel(model));
  const stages = graph.blocks.flatMap((block, index) =>
    linearInputs(block).flatMap((group): PlannedStage<PlannedBlockMatrix>[] => {
      if (statistics?.has(group.name) === false) return [];
      const found = group.modules.flatMap((module) => candidates.get(`${module}.weight`) ?? []);
      const groups = planGroups(found, { ...params, group, method, follows: inputs.follows });
      return groups.length === 0 ? [] : [{ block: index, name: group.name, groups }];
    }),
  );
  const layers = stages.flatMap(({ groups }) => groups.flatMap((group) => group.layers));
  if (layers.length === 0) throw nowhere(method.name, outputs);
  const chosen = new Set(layers.flatMap(({ targets }) => targets.map(placeOf)));
  const { memory, threads } = params;
  const { transforms = [] } = request;
  const { foldings, checks, warnings } =
    params.layered === undefined
      ? { foldings: [], checks: [], warnings: [] }
      : planRoundingFoldings({ model: params.layered, transforms, stages, statistics, inputs });
  if (statistics !== undefined) checkParentInputs(statistics, foldings);
  const { tensors: stored, shards } = params.source;
  const network = remoteBytes(stored.values(), shards) > 0;
  const resources = layerResources({ memory, threads, stages, foldings, checks, network });
  const tensors = new Set(layers.map(({ name }) => name));
  return {
    rounding: {
      name: method.name,
      stages,
      inputs,
      resources,
      transforms,
      foldings,
      checks,
      tensors: tensors.size,
      withoutInputs: layers
        .filter((planned) => statistics && tooFewFor(planned, statistics))
        .map(({ name, matrix }) => `${name}[${matrix}]`),
    },
    outputs: marked(outputs, chosen, method.name),
    warnings: [
      ...warnings,
      ...(statistics === undefined ? [] : blockRoundingWarnings({ statistics, stages, candidates, tensors })),
    ],
  };
}

function inputSource(
  { statistics, inputs }: RoundingRequest,
  outputs: readonly PlannedOutput[],
): InputSource {
  if (statistics !== undefined && inputs !== undefined) {
    throw new QuernError(
      "PLAN_STATISTICS_TWICE",
      "inputs are to be known from statistics, or otherwise, not both",
    );
  }
  const source = inputs ?? (statistics && statisticsInputs(statistics));
  if (source === undefined) {
    throw new QuernError(
      "PLAN_STATISTICS_REQUIRED",
      "rounding by inputs needs statistics of what the layers of the model read: X^T X, and figures of each column",
    );
  }
  if (source.follows && outputs.length > 1) {
    throw new QuernError(
      "ROUNDING_OUTPUTS",
      `inputs that follow what layers become are those of one output: expected one type instead of ${outputs.length}`,
    );
  }
  return source;
}

/** With what is best for blocks of ggml, unless options are given. */
function methodFor(method: MemberSpec): MemberSpec {
  return method.options === undefined && method.name === GGML_ROUNDING.name ? GGML_ROUNDING : method;
}

/** A tensor that outputs want in one type. */
interface RoundingCandidate {
  readonly model: ModelTensor;
  readonly index: number;
  readonly planned: PlannedTensor;
  readonly targets: readonly Target[];
}

/** Tensors of a type that has a grid, by name in the model. */
function candidatesOf({
  tensors,
  outputs,
}: {
  readonly tensors: readonly ModelTensor[];
  readonly outputs: readonly PlannedOutput[];
}): ReadonlyMap<string, readonly RoundingCandidate[]> {
  const indices = new Map(tensors.map(({ name }, index) => [name, index]));
  const found = new Map<string, Map<string, RoundingCandidate>>();
  let firstFile = 0;
  for (const { tensors: ofOutput, files } of outputs) {
    for (const planned of ofOutput) {
      const { source, type, via, packed, usesImportance } = planned;
      if (packed || !BLOCK_TYPES.includes(type)) continue;
      const key = [type, via, usesImportance].join();
      const known = found.get(source) ?? new Map<string, RoundingCandidate>();
      found.set(source, known);
      const index = indices.get(source)!;
      const targets = known.get(key)?.targets ?? [];
      const target = { file: firstFile + planned.file, offset: planned.offset };
      known.set(key, { model: tensors[index]!, index, planned, targets: [...targets, target] });
    }
    firstFile += files.length;
  }
  return new Map([...found].map(([name, byType]) => [name, [...byType.values()]]));
}

interface GroupContext {
  readonly group: LinearInputs;
  readonly method: MemberSpec;
  readonly request: RoundingRequest;
  readonly source: ModelSource;
  readonly kernels: Kernels;
  readonly follows: boolean;
  readonly measuresOutputs: boolean;
}

/** One for each matrix: those of a stack have inputs of their own. */
function planGroups(
  candidates: readonly RoundingCandidate[],
  context: GroupContext,
): PlannedGroup<PlannedBlockMatrix>[] {
  const { group, follows, measuresOutputs } = context;
  const fitting = candidates.filter(
    ({ planned: { ne } }) => ne[0] === group.columns && (ne[2] ?? 1) === group.matrices && ne.length <= 3,
  );
  if (fitting.length === 0) return [];
  return Array.from({ length: group.matrices }, (_, matrix) => {
    const layers = fitting.map((candidate) => planMatrix(candidate, matrix, context));
    const needs = layers
      .map((layer) => layer.needs)
      .reduce((all, next): InputNeeds => ({
        channels: true,
        hessian: all.hessian || next.hessian,
        cross: all.cross || next.cross,
        heldOut: all.heldOut || next.heldOut,
        histogram: false,
      }));
    const consumes = !measuresOutputs && consumesHessian(layers);
    const inputs = { needs, columns: group.columns, consumesHessian: consumes };
    return {
      ...inputs,
      inputs: { module: group.name, matrix },
      layers,
      bytes: layers.reduce((sum, layer) => sum + matrixBytes(layer, follows), inputBytes(inputs)),
    };
  });
}

function planMatrix(
  { model, index, planned, targets }: RoundingCandidate,
  matrix: number,
  { group, method, request, source, kernels }: GroupContext,
): PlannedBlockMatrix {
  const { type, via, ne, usesImportance } = planned;
  const [columns, rows] = ne as [number, number];
  const linear = { rows, columns, inputs: { module: group.name, matrix } };
  const treatment: Treatment = { grid: { name: "ggml", options: { type } }, rounding: method };
  const members = membersOf(treatment, { kernels });
  const problem = refuseCombination({ ...members, shape: linear });
  if (problem !== undefined) {
    throw new QuernError("QUANTIZE_COMBINATION", `"${model.name}": ${problem}`, {
      subject: { tensor: model.name },
    });
  }
  const bytes = rowSize(type, columns);
  const weights = {
    tensor: model.name,
    rows,
    columns,
    type: model.sourceType,
    ...(typeof model.storage === "object" ? { blockType: weightType(model) } : {}),
    expression: model.expression,
    start: matrix * rows,
    sources: expressionSources(model.expression).map((name) => source.tensors.get(name)!),
  };
  const { statistics } = request;
  const sees = statistics === undefined || !tooFewFor({ matrices: group.matrices, linear }, statistics);
  return {
    tensor: index,
    name: model.name,
    matrix,
    matrices: group.matrices,
    type,
    rowSize: bytes,
    ...(via === undefined ? {} : { via }),
    // Where inputs are known without an importance matrix, their squares are one.
    usesImportance: usesImportance || statistics === undefined,
    targets: targets.map(({ file, offset }) => ({ file, offset: offset + matrix * rows * bytes })),
    linear,
    decision: { treatment, guard: true },
    weights,
    needs: {
      channels: true,
      hessian: sees && members.rounding.needs.includes("hessian"),
      cross: sees && members.rounding.needs.includes("cross"),
      heldOut: sees,
      histogram: false,
    },
    ...preparation(treatment, members, linear),
    division: { step: members.rounding.wholeMatrix === true ? rows : 1, flattened: false },
  };
}

function tooFewFor(
  planned: Pick<PlannedBlockMatrix, "matrices" | "linear">,
  statistics: Statistics,
): boolean {
  const { module, matrix } = planned.linear.inputs!;
  return seesTooFew(planned, statistics.tokens(module)[matrix] ?? 0);
}

/** Blocks of both roundings, and what they stand for where that is wanted. */
function matrixBytes(
  { rowSize: bytes, linear: { rows, columns } }: PlannedBlockMatrix,
  follows: boolean,
): number {
  return rows * (2 * bytes + (follows ? 4 * columns : 0));
}

function placeOf({ file, offset }: Target): string {
  return `${file} ${offset}`;
}

/** Says of tensors how they are rounded. */
function marked(
  outputs: readonly PlannedOutput[],
  chosen: ReadonlySet<string>,
  rounding: string,
): PlannedOutput[] {
  let firstFile = 0;
  return outputs.map((output) => {
    const first = firstFile;
    firstFile += output.files.length;
    const tensors = output.tensors.map((tensor): PlannedTensor =>
      chosen.has(placeOf({ file: first + tensor.file, offset: tensor.offset }))
        ? { ...tensor, rounding }
        : tensor,
    );
    return { ...output, tensors };
  });
}

function nowhere(method: string, outputs: readonly PlannedOutput[]): QuernError {
  const types = outputs.map(({ type }) => type).join(", ");
  return new QuernError(
    "ROUNDING_NOWHERE",
    `${method} rounds linear layers of the blocks whose inputs are known and whose type is one of ${BLOCK_TYPES.join(", ")}: ` +
      `there are none in ${types}`,
    { subject: { key: "rounding" } },
  );
}
