import { checkStatisticsModel, type Statistics } from "@quern/statistics";
import { QuernError } from "@quern/tensor";
import { listNames } from "../../name-list.ts";
import type { LayeredModel } from "../linear-layers.ts";
import type { PlannedFolding, PlannedMatrix, PlannedStage } from "../plan.ts";
import { checkParentInputs } from "./plan-parents.ts";

/** Inputs for each column below which X^T X is singular or noise. */
const LEAST_TOKENS_PER_COLUMN = 2;

const NAMES = 3;

/**
 * Checks that statistics are of the model and have what its layers need.
 *
 * @returns what may do harm: few tokens, nothing held out
 * @throws QuernError `STATISTICS_OTHER_MODEL`, `STATISTICS_UNKNOWN_MODULE`, `STATISTICS_NOT_COLLECTED`
 */
export function checkStatistics(params: {
  readonly statistics: Statistics;
  readonly model: LayeredModel;
  readonly stages: readonly PlannedStage[];
  readonly foldings: readonly PlannedFolding[];
}): QuernError[] {
  const { statistics, model, stages, foldings } = params;
  const { architecture, tensors } = model.description;
  checkStatisticsModel({ statistics, model: { name: model.checkpoint.name, architecture, tensors } });
  for (const { folding, usesHessian } of foldings) {
    const { module } = folding.statistics;
    if (usesHessian && !statistics.input(module).hessian) throw notCollected(statistics, module);
  }
  checkParentInputs(statistics, foldings);
  const divided = new Set(foldings.flatMap(({ layers }) => layers.map(({ weights }) => weights.tensor)));
  for (const { inputs, needs, layers } of stages.flatMap(({ groups }) => groups)) {
    if (inputs === undefined || !needs.histogram || statistics.input(inputs.module).holdOutRows > 0) continue;
    if (!layers.some(({ weights }) => divided.has(weights.tensor))) continue;
    const what = "some inputs that were held out, to find ranges where factors divide inputs";
    throw notCollected(statistics, inputs.module, what);
  }
  return stageWarnings(statistics, stages);
}

/**
 * Checks that statistics have what the groups of a plan need.
 *
 * @returns what may do harm: few tokens, nothing held out
 * @throws QuernError `STATISTICS_UNKNOWN_MODULE`, `STATISTICS_NOT_COLLECTED`
 */
export function stageWarnings(
  statistics: Statistics,
  stages: readonly PlannedStage<PlannedMatrix>[],
): QuernError[] {
  const few: string[] = [];
  const untested: string[] = [];
  for (const { groups } of stages) {
    for (const { inputs, needs, columns } of groups) {
      if (inputs === undefined || !(needs.channels || needs.hessian || needs.heldOut)) continue;
      const { module, matrix } = inputs;
      const { hessian, holdOutRows } = statistics.input(module);
      if (needs.hessian && !hessian) throw notCollected(statistics, module);
      const tokens = statistics.tokens(module)[matrix] ?? 0;
      if (needs.hessian && tokens < LEAST_TOKENS_PER_COLUMN * columns) {
        few.push(`${module}${matrix > 0 ? `[${matrix}]` : ""} (${tokens} for ${columns} columns)`);
      }
      if (needs.heldOut && holdOutRows === 0) untested.push(module);
    }
  }
  const warn = (code: string, text: string): QuernError =>
    new QuernError(code, `${statistics.file}: ${text}`, { subject: { file: statistics.file } });
  return [
    ...(few.length === 0
      ? []
      : [
          warn(
            "STATISTICS_FEW_TOKENS",
            `fewer than ${LEAST_TOKENS_PER_COLUMN} inputs for each column, which is hardly enough: ${listNames(few, NAMES)}`,
          ),
        ]),
    ...(untested.length === 0
      ? []
      : [
          warn(
            "STATISTICS_NO_HOLD_OUT",
            `no inputs were held out, so that nothing tells whether rounding to nearest were better: ${listNames(untested, NAMES)}`,
          ),
        ]),
  ];
}

function notCollected({ file }: Statistics, module: string, what = "X^T X of the inputs"): QuernError {
  return new QuernError(
    "STATISTICS_NOT_COLLECTED",
    `${file}: the recipe needs of "${module}" ${what}, which was not collected`,
    { subject: { file, tensor: module } },
  );
}
