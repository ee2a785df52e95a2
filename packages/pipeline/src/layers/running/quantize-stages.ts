import type { PlannedMatrix, PlannedStage } from "../plan.ts";
import type { MemoryGate } from "./memory-gate.ts";
import { type LayerWork, quantizeGroup } from "./quantize-group.ts";

/** Quantizes all layers, group by group, as many groups at once as there is memory for: their inputs stay what they are. */
export async function quantizeStages<M extends PlannedMatrix>(params: {
  readonly stages: readonly PlannedStage<M>[];
  readonly gate: MemoryGate;
  readonly work: LayerWork<M>;
}): Promise<void> {
  const { stages, gate, work } = params;
  const running: Promise<void>[] = [];
  let failed = false;
  for (const group of stages.flatMap(({ groups }) => groups)) {
    await gate.enter(group.bytes);
    const quantized = (failed ? Promise.resolve() : quantizeGroup(group, work)).finally(() =>
      gate.leave(group.bytes),
    );
    // Waited for with the others.
    quantized.catch(() => (failed = true));
    running.push(quantized);
  }
  await Promise.all(running);
}
