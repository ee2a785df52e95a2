import type { PlannedMatrix, PlannedStage } from "../plan.ts";
import type { MemoryGate } from "./memory-gate.ts";
import type { LayerWork } from "./quantize-group.ts";
import { quantizeStages } from "./quantize-stages.ts";

/** Tells a source of inputs what layers have become. */
export interface StageFollower<M extends PlannedMatrix> {
  /**
   * Nothing of a block is quantized yet, and everything before it is.
   *
   * @param stages All of the block.
   * @returns them as they are to be quantized
   */
  blockBegins(stages: readonly PlannedStage<M>[]): Promise<readonly PlannedStage<M>[]>;
  /** All layers of a stage are written. */
  stageDone(stage: PlannedStage<M>): Promise<void>;
}

/** Quantizes all layers, one place of the model after another: inputs follow what layers become. */
export async function quantizeAlong<M extends PlannedMatrix>(params: {
  readonly stages: readonly PlannedStage<M>[];
  readonly gate: MemoryGate;
  readonly work: LayerWork<M>;
  readonly follower: StageFollower<M>;
}): Promise<void> {
  const { stages, gate, work, follower } = params;
  for (const own of byBlock(stages)) {
    for (const stage of await follower.blockBegins(own)) {
      await quantizeStages({ stages: [stage], gate, work });
      await follower.stageDone(stage);
    }
    const { block } = own[0]!;
    if (block !== undefined) await work.inputs!.blockDone(block);
  }
}

/** Stages of a block are one after another. */
function byBlock<M extends PlannedMatrix>(stages: readonly PlannedStage<M>[]): PlannedStage<M>[][] {
  const blocks: PlannedStage<M>[][] = [];
  for (const stage of stages) {
    const last = blocks.at(-1);
    if (last?.[0]!.block === stage.block) last!.push(stage);
    else blocks.push([stage]);
  }
  return blocks;
}
