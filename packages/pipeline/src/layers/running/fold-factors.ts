import type { ChosenFolding } from "@quern/models";
import type { CheckpointPlan } from "../plan.ts";
import { type ChangedWork, changeCopy, changeStages } from "./changed-work.ts";
import { divideInputs, foldedFactors } from "./folded-factors.ts";

/** Folds factors for all places of a plan into what is read of the weights, and known of inputs. */
export function foldFactors(
  { stages, copies }: Pick<CheckpointPlan, "stages" | "copies">,
  chosen: readonly ChosenFolding[],
): ChangedWork {
  const { changes, factorsOf } = foldedFactors(chosen);
  return {
    changes,
    stages: changeStages(stages, { changes }),
    copies: copies.map((copy) => changeCopy(copy, { changes })),
    changeInputs: async (planned, statistics) => divideInputs(statistics, factorsOf(planned)),
  };
}
