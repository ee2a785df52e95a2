import type { CheckpointPlan } from "../plan.ts";
import type { ChangedWork } from "./changed-work.ts";
import { type ChooseFoldingsParams, chooseFoldings } from "./choose-foldings.ts";
import { foldFactors } from "./fold-factors.ts";
import { rotateWeights } from "./rotate-weights.ts";

/** The work of a plan after the transforms of its recipe, none of which follows what layers become: factors that are not known are chosen. */
export async function changedPlan(
  plan: CheckpointPlan,
  context: Pick<ChooseFoldingsParams, "known" | "run" | "gate" | "pool">,
): Promise<ChangedWork> {
  const { rotation, foldings, checks, inputs, recipe } = plan;
  if (rotation !== undefined) return rotateWeights({ plan, rotation, ...context });
  const { transforms } = recipe;
  return foldFactors(plan, await chooseFoldings({ foldings, checks, transforms, inputs, ...context }));
}
