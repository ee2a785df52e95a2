import { inputChanges, type RotationChanges, rotationChanges } from "@quern/models";
import type { CheckpointPlan } from "../plan.ts";
import type { PlannedRotation } from "../planning/plan-rotation.ts";
import type { RunLayerTask } from "../tasks/task.ts";
import { type ChangedWork, changeCopy, changeStages } from "./changed-work.ts";
import { checkBlock } from "./check-block.ts";
import type { MemoryGate } from "./memory-gate.ts";
import { settled } from "./settled.ts";

/**
 * Rotates what is read of the weights, and compares every block with what it was.
 *
 * @throws QuernError `FOLDING_CHANGES_MODEL`
 */
export async function rotateWeights(params: {
  readonly plan: CheckpointPlan;
  readonly rotation: PlannedRotation;
  readonly run: RunLayerTask;
  readonly gate: MemoryGate;
}): Promise<ChangedWork> {
  const { plan, rotation, run, gate } = params;
  const { changes, output } = await changesOf(rotation, run);
  const { residual } = rotation.rotations;
  const turned = residual && { size: residual.size, seed: rotation.seed };
  await settled(plan.checks, (check) =>
    gate.within(check.bytes, () => checkBlock({ check, changes, run, ...(turned && { rotation: turned }) })),
  );
  const { whole } = rotation;
  return {
    changes,
    stages: changeStages(plan.stages, { changes, whole }),
    copies: plan.copies.map((copy) =>
      copy === plan.untied
        ? changeCopy(copy, { changes: output!, whole })
        : changeCopy(copy, { changes, whole }),
    ),
    async changeInputs({ weights }, statistics) {
      const own = inputChanges(changes.get(weights.tensor) ?? []);
      if (own.length === 0) return statistics;
      return run({ kind: "change-inputs", tensor: weights.tensor, statistics, changes: own });
    },
  };
}

async function changesOf(
  { rotations, gains, seed }: PlannedRotation,
  run: RunLayerTask,
): Promise<RotationChanges> {
  const read = await settled(
    gains,
    async (weights) => [weights.tensor, await run({ kind: "read", weights })] as const,
  );
  return rotationChanges({ rotations, gains: new Map(read), seed });
}
