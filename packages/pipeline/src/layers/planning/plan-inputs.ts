import type { StatisticsNeed } from "@quern/recipes";
import { type InputSource, type Statistics, statisticsInputs } from "@quern/statistics";
import { QuernError } from "@quern/tensor";
import type { PlanCheckpointParams } from "../plan.ts";
import type { CheckedLinear } from "./plan-linear.ts";

const NEEDED: Readonly<Record<StatisticsNeed, string>> = {
  none: "the largest magnitude of each column",
  channels: "figures of each column",
  hessian: "X^T X, and figures of each column",
};

/** From where a plan knows the inputs of layers. */
export interface PlannedInputs {
  /** Whether anything has to be known of them. */
  readonly needed: boolean;
  /** Present where it has to be. */
  readonly source?: InputSource;
  readonly warnings: readonly QuernError[];
}

/**
 * From where inputs are known, as far as a recipe looks at them.
 *
 * @throws QuernError `PLAN_STATISTICS_TWICE`, `PLAN_STATISTICS_REQUIRED`
 */
export function planInputs(
  { recipe, recipeName, statistics, inputs }: PlanCheckpointParams,
  layers: readonly Pick<CheckedLinear, "needs">[],
): PlannedInputs {
  const needed = recipe.statistics !== "none" || layers.some(({ needs }) => needs.channels || needs.hessian);
  if (statistics !== undefined && inputs !== undefined) {
    throw new QuernError(
      "PLAN_STATISTICS_TWICE",
      "inputs are to be known from statistics, or otherwise, not both",
    );
  }
  if (!needed) {
    return { needed, warnings: statistics === undefined ? [] : [unusedStatistics(statistics, recipeName)] };
  }
  const source = statistics === undefined ? inputs : statisticsInputs(statistics);
  if (source === undefined) {
    throw new QuernError(
      "PLAN_STATISTICS_REQUIRED",
      `${recipeName} needs statistics of what the layers of the model read: ${NEEDED[recipe.statistics]}`,
    );
  }
  return { needed, source, warnings: [] };
}

function unusedStatistics({ file }: Statistics, recipe: string): QuernError {
  return new QuernError(
    "STATISTICS_UNUSED",
    `${file}: ${recipe} looks at weights alone, so that statistics change nothing`,
    { subject: { file } },
  );
}
