import { weightNames } from "@quern/models";
import { BufferPool, type TaskQueue } from "@quern/threads";
import type { CheckpointDelegate } from "../delegate.ts";
import type { CheckpointEvent, WrittenTensor } from "../events.ts";
import type { CheckpointPlan, PlannedCopy, PlannedLinear } from "../plan.ts";
import { foldedTensors } from "../planning/folded-tensors.ts";
import type { LayerResult, LayerTask, RunLayerTask } from "../tasks/task.ts";
import { changedPlan } from "./changed-plan.ts";
import { checkpointSink } from "./checkpoint-sink.ts";
import { copyTensors } from "./copy-tensors.ts";
import { FinishedWork } from "./finished-work.ts";
import { foldFactors } from "./fold-factors.ts";
import { KnownFactors } from "./known-factors.ts";
import { MemoryGate } from "./memory-gate.ts";
import type { OpenRun } from "./open-run.ts";
import { quantizeLayers } from "./quantize-layers.ts";
import { writeElsewhere } from "./write-elsewhere.ts";

export interface WrittenTensors {
  readonly finished: FinishedWork;
  /** How many tensors were there already. */
  readonly resumed: number;
  /** Those that ran elsewhere, if any did. */
  readonly kernels?: string;
  /** In the order of the files; none where they are not hashed. */
  readonly tensors: readonly WrittenTensor[];
}

/** Makes all tensors of a plan that are not there already. */
export async function writeTensors(params: {
  readonly plan: CheckpointPlan;
  /** Where tensors are hashed and noted, if they are. */
  readonly run?: Pick<OpenRun, "entries" | "note" | "settle">;
  /** Who makes them. Default: the threads here. */
  readonly delegate?: CheckpointDelegate;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: CheckpointEvent) => void;
  /** Called with what an earlier run has finished, to which this one adds. */
  readonly onFound?: (finished: FinishedWork) => void;
  /** Gives the threads that make and write them. */
  readonly queueWith: (signal: AbortSignal) => TaskQueue<LayerTask, LayerResult>;
}): Promise<WrittenTensors> {
  const { plan, delegate, signal, onEvent, onFound, queueWith } = params;
  const failed = new AbortController();
  const stop = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
  const queue = queueWith(stop);
  const run: RunLayerTask = (task) => queue.run(task) as Promise<never>;
  const { entries = [], note } = params.run ?? {};
  const finished = await FinishedWork.of({ plan, entries, run, ...(note && { note }) });
  onFound?.(finished);
  const resumed = finished.tensors;
  const { parameters: total } = plan;
  let { elements: done, bytes: bytesWritten } = finished.sizes(plan);
  const progress = (tensor: string, elements: number, bytes: number): void => {
    done += elements;
    bytesWritten += bytes;
    onEvent?.({ type: "progress", tensor, done, total, bytesWritten });
  };
  onEvent?.({
    type: "start",
    tensors: plan.model.tensors.size,
    layers: layersOf(plan).length,
    parameters: total,
    folder: plan.folder,
  });
  if (resumed + finished.redone > 0) {
    onEvent?.({ type: "resume", tensors: resumed, redone: finished.redone, done, total });
  }
  const sink = checkpointSink({ run, progress, finished, ...(onEvent && { onEvent }) });
  const pool = new BufferPool();
  const known = new KnownFactors({ entries, note });
  const gateOf = (): MemoryGate => new MemoryGate(plan.resources.groupMemory);
  const copy = (copies: readonly PlannedCopy[]): Promise<void> =>
    copyTensors({
      copies: copies.filter((planned) => !finished.hasCopy(planned)),
      run,
      onPiece: ({ weights }, rows, bytes) => progress(weights.tensor, rows * weights.columns, bytes),
      onDone: (planned) => finished.copyDone(planned),
    });
  const work = { plan, known, finished, pool, run, sink, progress };
  let kernels: string | undefined;
  try {
    const { rotation, foldings, inputs } = plan;
    if (delegate !== undefined) {
      kernels = await writeElsewhere({
        ...work,
        delegate,
        settle: async () => params.run?.settle(),
        signal: stop,
        onEvent,
      });
    } else if (rotation === undefined && inputs?.follows === true) {
      // Factors become known block by block, and with them what is copied of their places.
      const folded = foldedTensors(foldings);
      const isFolded = ({ weights: { expression } }: PlannedCopy): boolean =>
        weightNames(expression).some((name) => folded.has(name));
      const unchanged = foldFactors(plan, []);
      await Promise.all([
        copy(plan.copies.filter((planned) => !isFolded(planned))),
        quantizeLayers({ ...work, changed: unchanged, gate: gateOf() }),
      ]);
      await copy(foldFactors(plan, known.of(foldings)!).copies.filter(isFolded));
    } else {
      const changed = await changedPlan(plan, { known, run, gate: gateOf(), pool });
      await Promise.all([copy(changed.copies), quantizeLayers({ ...work, changed, gate: gateOf() })]);
    }
  } catch (error) {
    // What is still under way ends with it.
    failed.abort(error);
    throw error;
  }
  return {
    finished,
    resumed,
    ...(kernels === undefined ? {} : { kernels }),
    tensors: note === undefined ? [] : await finished.written(plan),
  };
}

function layersOf({ stages }: CheckpointPlan): PlannedLinear[] {
  return stages.flatMap(({ groups }) => groups.flatMap(({ layers }) => layers));
}
