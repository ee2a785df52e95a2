import type { BufferPool } from "@quern/threads";
import { digestOf } from "../../journal/digest.ts";
import type { CheckpointPlan, PlannedLinear } from "../plan.ts";
import type { RunLayerTask } from "../tasks/task.ts";
import type { ChangedWork } from "./changed-work.ts";
import type { CheckpointSink } from "./checkpoint-sink.ts";
import type { FinishedWork } from "./finished-work.ts";
import { foldAlong } from "./fold-along.ts";
import { followLayers } from "./follow-layers.ts";
import type { KnownFactors } from "./known-factors.ts";
import type { MemoryGate } from "./memory-gate.ts";
import { openStages } from "./open-stages.ts";
import { quantizeAlong } from "./quantize-along.ts";
import type { LayerWork } from "./quantize-group.ts";
import { quantizeLayer } from "./quantize-layer.ts";
import { quantizeStages } from "./quantize-stages.ts";

/** Quantizes all layers of a plan, in the order that its source of inputs wants. */
export async function quantizeLayers(params: {
  readonly plan: CheckpointPlan;
  readonly changed: ChangedWork;
  /** Where inputs follow what layers become: of the factors that are folded in. */
  readonly known: KnownFactors;
  readonly finished: FinishedWork;
  readonly gate: MemoryGate;
  readonly pool: BufferPool;
  readonly run: RunLayerTask;
  readonly sink: CheckpointSink;
  readonly progress: (tensor: string, elements: number, bytes: number) => void;
}): Promise<void> {
  const { plan, changed, known, finished, gate, pool, run, sink, progress } = params;
  const { inputs, model, recipe, foldings, checks, identity } = plan;
  const { threads, chunkWeights } = plan.resources;
  const work: LayerWork<PlannedLinear> = {
    ...(inputs && { inputs }),
    changeInputs: async (planned, statistics) =>
      inputs?.follows === true ? statistics : changed.changeInputs(planned, statistics),
    run,
    pool,
    threads,
    chunkWeights,
    isFinished: (planned) => finished.hasLayer(planned),
    async quantize(planned, layerInputs) {
      const { tensor, columns } = planned.weights;
      const onRows = (rows: number): void => progress(tensor, rows * columns, 0);
      const lease = pool.lease();
      const quantized = await quantizeLayer({
        planned,
        inputs: layerInputs,
        chunkWeights,
        threads,
        run,
        lease,
        onRows,
      });
      await sink.write(planned, quantized, layerInputs.statistics);
      lease.release();
    },
  };
  const { stages, changes } = changed;
  if (inputs?.follows !== true) return quantizeStages({ stages, gate, work });
  if (changes.size > 0) await inputs.change!(changes);
  const { transforms } = recipe;
  const folding = foldAlong({ foldings, checks, transforms, inputs, known, run, gate, pool });
  const follower = followLayers({ model, inputs, run, pool, changes, folding });
  try {
    const open = await openStages({ stages, work, run: identity && digestOf(identity), folding });
    await quantizeAlong({ stages: open, gate, work, follower });
  } finally {
    await follower.close();
  }
}
