import type { CheckpointPlan, PlannedStage } from "../plan.ts";
import type { ChangedWork } from "./changed-work.ts";
import type { MemoryGate } from "./memory-gate.ts";
import { followLayers, type LayerFollower } from "./follow-layers.ts";
import { type LayerWork, quantizeGroup } from "./quantize-group.ts";

/**
 * Quantizes all layers, group by group: as many groups at once as there is memory for, where inputs stay what they are; where they follow
 * what layers become, one place of the model after another.
 */
export async function quantizeStages(params: {
  readonly plan: Pick<CheckpointPlan, "inputs" | "resources" | "model">;
  readonly changed: Pick<ChangedWork, "stages" | "changeInputs">;
  readonly gate: MemoryGate;
  readonly work: Pick<LayerWork, "run" | "onRows" | "sink">;
}): Promise<void> {
  const { plan, changed, gate, work } = params;
  const { inputs, resources } = plan;
  const { threads, chunkWeights } = resources;
  const { stages, changeInputs } = changed;
  const follower =
    inputs?.follows === true ? followLayers({ model: plan.model, inputs, run: work.run }) : undefined;
  const groupWork: LayerWork = {
    ...work,
    threads,
    chunkWeights,
    changeInputs: (planned, statistics) => changeInputs(planned, statistics),
    ...(inputs && { inputs }),
    async sink(planned, quantized, statistics) {
      await work.sink(planned, quantized, statistics);
      await follower?.layerDone(planned, quantized);
    },
  };
  try {
    await runStages({ stages, gate, work: groupWork, ...(follower && { follower }) });
  } finally {
    await follower?.close();
  }
}

async function runStages(params: {
  readonly stages: readonly PlannedStage[];
  readonly gate: MemoryGate;
  readonly work: LayerWork;
  readonly follower?: LayerFollower;
}): Promise<void> {
  const { stages, gate, work, follower } = params;
  const running: Promise<void>[] = [];
  let failed = false;
  for (const [index, stage] of stages.entries()) {
    for (const group of stage.groups) {
      await gate.enter(group.bytes);
      if (failed) break;
      const quantized = quantizeGroup(group, work).finally(() => gate.leave(group.bytes));
      // Waited for with the others.
      quantized.catch(() => (failed = true));
      running.push(quantized);
    }
    if (failed) break;
    if (follower === undefined) continue;
    await Promise.all(running.splice(0));
    await follower.stageDone();
    if (endsBlock(stages, index)) await work.inputs!.blockDone(stage.block!);
  }
  await Promise.all(running);
}

function endsBlock(stages: readonly PlannedStage[], index: number): boolean {
  const { block } = stages[index]!;
  return block !== undefined && stages[index + 1]?.block !== block;
}
