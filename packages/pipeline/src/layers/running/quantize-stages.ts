import type { PlannedMatrix, PlannedStage } from "../plan.ts";
import type { MemoryGate } from "./memory-gate.ts";
import { type LayerWork, quantizeGroup } from "./quantize-group.ts";

/** Tells a source of inputs what layers have become. */
export interface StageFollower<M extends PlannedMatrix> {
  /** All layers of a stage are written. */
  stageDone(stage: PlannedStage<M>): Promise<void>;
}

/**
 * Quantizes all layers, group by group: as many groups at once as there is memory for, where inputs stay what they are; where they follow
 * what layers become, one place of the model after another.
 *
 * @param params.follower Where they do.
 */
export async function quantizeStages<M extends PlannedMatrix>(params: {
  readonly stages: readonly PlannedStage<M>[];
  readonly gate: MemoryGate;
  readonly work: LayerWork<M>;
  readonly follower?: StageFollower<M>;
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
    await follower.stageDone(stage);
    if (endsBlock(stages, index)) await work.inputs!.blockDone(stage.block!);
  }
  await Promise.all(running);
}

function endsBlock(stages: readonly Pick<PlannedStage, "block">[], index: number): boolean {
  const { block } = stages[index]!;
  return block !== undefined && stages[index + 1]?.block !== block;
}
