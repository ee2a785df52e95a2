import type { Statistics } from "@quern/statistics";
import { QuernError } from "@quern/tensor";
import type { PlannedBlockMatrix } from "../layers/block-plan.ts";
import type { PlannedStage } from "../layers/plan.ts";
import { stageWarnings } from "../layers/planning/check-statistics.ts";
import { listNames } from "../name-list.ts";

const NAMES = 3;

/** What begins the names of tensors in blocks. */
const BLOCKS = "blk.";

/**
 * What may do harm where tensors are rounded by statistics.
 *
 * @param params.candidates By name, of a type that could be rounded.
 * @param params.tensors Names of those that are.
 * @throws QuernError `STATISTICS_NOT_COLLECTED`
 */
export function blockRoundingWarnings(params: {
  readonly statistics: Statistics;
  readonly stages: readonly PlannedStage<PlannedBlockMatrix>[];
  readonly candidates: ReadonlyMap<string, unknown>;
  readonly tensors: ReadonlySet<string>;
}): QuernError[] {
  const { statistics, stages, candidates, tensors } = params;
  const others = [...candidates.keys()].filter((name) => name.startsWith(BLOCKS) && !tensors.has(name));
  const without = stages.flatMap(({ groups }) =>
    groups.flatMap(({ needs, layers }) =>
      needs.hessian ? [] : layers.map(({ name, matrix }) => `${name}[${matrix}]`),
    ),
  );
  const { file } = statistics;
  const warn = (code: string, names: readonly string[], text: string): QuernError[] =>
    names.length === 0
      ? []
      : [
          new QuernError(code, `${file}: ${text}: ${listNames(names, NAMES)}`, {
            subject: { file, tensor: names[0]! },
          }),
        ];
  return [
    ...stageWarnings(statistics, stages),
    ...warn(
      "ROUNDING_MISSING",
      others,
      `nothing is known of the inputs of ${others.length} tensors, which are rounded as usual`,
    ),
    ...warn(
      "ROUNDING_FEW_TOKENS",
      without,
      `${without.length} matrices saw fewer inputs than they have columns, and are rounded by importance alone`,
    ),
  ];
}
