import {
  BufferPool,
  closeThreads,
  compiledModule,
  startThreads,
  type TaskQueue,
  taskQueue,
} from "@quern/threads";
import { digestOf } from "../../journal/digest.ts";
import { canGoOn } from "../../conversion/can-go-on.ts";
import type { RunIdentity } from "../../journal/checkpoint-journal.ts";
import type { CheckpointEvent, CheckpointReport, LayerResultFigures } from "../events.ts";
import { modelCard } from "../model-card.ts";
import { createService } from "../node/layer-service.ts";
import type { CheckpointPlan, PlannedLinear } from "../plan.ts";
import type { LayerResult, LayerTask, RunLayerTask } from "../tasks/task.ts";
import { folderManifest } from "../../provenance/folder-manifest.ts";
import { type CheckpointSink, checkpointSink } from "./checkpoint-sink.ts";
import { copyTensors } from "./copy-tensors.ts";
import type { ChangedWork } from "./changed-work.ts";
import { FinishedWork } from "./finished-work.ts";
import { foldFactors } from "./fold-factors.ts";
import { followLayers } from "./follow-layers.ts";
import { MemoryGate } from "./memory-gate.ts";
import { openStages } from "./open-stages.ts";
import { type OpenRun, openRun } from "./open-run.ts";
import type { PartialFolder } from "./partial-folder.ts";
import type { LayerWork } from "./quantize-group.ts";
import { quantizeLayer } from "./quantize-layer.ts";
import { quantizeStages } from "./quantize-stages.ts";
import { rotateWeights } from "./rotate-weights.ts";
import { TaskTimes } from "./task-times.ts";

export interface WriteCheckpointOptions {
  /** Ends the run; what it has finished stays for a later one. The reason of the signal is thrown. */
  readonly signal?: AbortSignal;
  /** Throws away what an earlier run has left unfinished, whatever it would have become. @default false */
  readonly restart?: boolean;
  /** Called for every event, in order. */
  readonly onEvent?: (event: CheckpointEvent) => void;
}

/**
 * Runs a plan: quantizes the layers group by group, copies everything else, and writes the folder of the model. Until it is complete and on
 * disk, the folder is called `<folder>.partial`.
 *
 * Beside it lies a journal of the tensors that are complete. When a run ends early, by its signal or any other way, the next one with an
 * equal plan goes on from there and makes the same files; tensors whose bytes are not what they were are made again. After errors that
 * no rerun can mend, and where too little is known of the source of inputs to tell runs apart, nothing stays.
 *
 * @throws the reason of `signal`; QuernError `RESUME_OTHER_RUN`, `WEIGHT_NOT_FINITE`, `FOLDING_CHANGES_MODEL`, `QUANTIZE_*`, `STATISTICS_*`,
 * `CHECKPOINT_CHANGED`, `SOURCE_*`, `OUTPUT_EXISTS` (since the plan), `OUTPUT_NOT_WRITABLE`, `OUTPUT_DISK_FULL`, `OUTPUT_WRITE_FAILED`,
 * `WORKER_FAILED`, `WORKER_MISSING`
 */
export async function writeCheckpoint(
  plan: CheckpointPlan,
  options: WriteCheckpointOptions = {},
): Promise<CheckpointReport> {
  const { signal, restart = false, onEvent } = options;
  signal?.throwIfAborted();
  const run = await openRun(plan, restart);
  let finished: FinishedWork | undefined;
  try {
    const report = await writeInto(run, plan, {
      ...options,
      started: performance.now(),
      onFound: (found) => (finished = found),
    });
    // While there is a journal, a run that is killed here is gone on with, and leaves nothing.
    await plan.inputs?.discard?.();
    await run.done();
    onEvent?.({ type: "done", report });
    return report;
  } catch (error) {
    const tensors = finished?.tensors ?? run.entries.length;
    if (tensors > 0 && run.identity !== undefined && canGoOn(error, signal)) {
      await run.leave();
      onEvent?.({ type: "stop", tensors });
    } else {
      await run.abandon();
      await plan.inputs?.discard?.();
    }
    throw error;
  }
}

async function writeInto(
  run: OpenRun,
  plan: CheckpointPlan,
  options: WriteCheckpointOptions & {
    readonly started: number;
    readonly onFound: (finished: FinishedWork) => void;
  },
): Promise<CheckpointReport> {
  const { folder } = run;
  const { shards } = plan.checkpoint.shards;
  const threads = await startThreads({
    count: plan.resources.threads,
    createService,
    module: () => compiledModule("../node/layer-service.ts", import.meta.url),
    options: {
      shards: plan.model.checkpoint.shards,
      files: shards.map(({ fileName }) => ({ path: folder.pathOf(fileName), name: folder.pathOf(fileName) })),
      ...(plan.backend === undefined ? {} : { backend: plan.backend }),
    },
  });
  const kernels = threads[0]!.description;
  const times = new TaskTimes();
  let written: WrittenTensors;
  try {
    written = await writeTensors({
      plan,
      run,
      ...options,
      queueWith: (signal) => taskQueue({ threads: times.watch(threads), signal }),
    });
  } finally {
    await closeThreads(threads);
  }
  const { finished, resumed } = written;
  const layers = finished.results(plan);
  const tensors = finished.written();
  const small = await writeSmallFiles(folder, plan, layers);
  if (plan.origin !== undefined) {
    const { name, bytes } = await folderManifest({
      folder,
      plan,
      origin: plan.origin,
      kernels,
      layers,
      written: small,
      ...(options.signal && { signal: options.signal }),
    });
    await folder.write(name, bytes);
    small.push({ name, bytes: bytes.byteLength });
  }
  options.signal?.throwIfAborted();
  await run.finishing();
  await folder.finish();
  const files = [
    ...shards.map(({ fileName, layout }) => ({ name: fileName, bytes: layout.fileSize })),
    ...small,
  ];
  return {
    folder: plan.folder,
    files,
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    tensors,
    resumed,
    layers,
    parameters: plan.parameters,
    sourceBytes: plan.sourceBytes,
    seconds: (performance.now() - options.started) / 1000,
    times: times.list(),
    kernels,
    warnings: plan.warnings,
  };
}

interface WrittenTensors {
  readonly finished: FinishedWork;
  /** How many tensors were there already. */
  readonly resumed: number;
}

/** Makes all tensors of a plan that are not there already. */
export async function writeTensors(params: {
  readonly plan: CheckpointPlan;
  /** Where tensors are hashed and noted, if they are. */
  readonly run?: Pick<OpenRun, "identity" | "entries" | "note">;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: CheckpointEvent) => void;
  /** Called with what an earlier run has finished, to which this one adds. */
  readonly onFound?: (finished: FinishedWork) => void;
  /** Gives the threads that make and write them. */
  readonly queueWith: (signal: AbortSignal) => TaskQueue<LayerTask, LayerResult>;
}): Promise<WrittenTensors> {
  const { plan, signal, onEvent, onFound, queueWith } = params;
  const failed = new AbortController();
  const stop = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
  const queue = queueWith(stop);
  const run: RunLayerTask = (task) => queue.run(task) as Promise<never>;
  const { entries = [], note, identity } = params.run ?? {};
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
  if (entries.length > 0) {
    onEvent?.({ type: "resume", tensors: resumed, redone: finished.redone, done, total });
  }
  const sink = checkpointSink({ run, progress, finished, ...(onEvent && { onEvent }) });
  const pool = new BufferPool();
  const gateOf = (): MemoryGate => new MemoryGate(plan.resources.groupMemory);
  try {
    const { rotation } = plan;
    const changed =
      rotation === undefined
        ? await foldFactors({ plan, run, gate: gateOf(), pool })
        : await rotateWeights({ plan, rotation, run, gate: gateOf() });
    await Promise.all([
      copyTensors({
        copies: changed.copies.filter((copy) => !finished.hasCopy(copy)),
        run,
        onPiece: ({ weights }, rows, bytes) => progress(weights.tensor, rows * weights.columns, bytes),
        onDone: (copy) => finished.copyDone(copy),
      }),
      quantizeLayers({ plan, changed, finished, identity, gate: gateOf(), pool, run, sink, progress }),
    ]);
  } catch (error) {
    // What is still under way ends with it.
    failed.abort(error);
    throw error;
  }
  return { finished, resumed };
}

async function quantizeLayers(params: {
  readonly plan: CheckpointPlan;
  readonly changed: ChangedWork;
  readonly finished: FinishedWork;
  readonly identity: RunIdentity | undefined;
  readonly gate: MemoryGate;
  readonly pool: BufferPool;
  readonly run: RunLayerTask;
  readonly sink: CheckpointSink;
  readonly progress: (tensor: string, elements: number, bytes: number) => void;
}): Promise<void> {
  const { plan, changed, finished, identity, gate, pool, run, sink, progress } = params;
  const { inputs, model } = plan;
  const { threads, chunkWeights } = plan.resources;
  const follower = inputs?.follows === true ? followLayers({ model, inputs, run, pool }) : undefined;
  const work: LayerWork<PlannedLinear> = {
    ...(inputs && { inputs }),
    changeInputs: (planned, statistics) => changed.changeInputs(planned, statistics),
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
  try {
    const { stages } = changed;
    await quantizeStages({
      stages: follower ? await openStages({ stages, work, run: identity && digestOf(identity) }) : stages,
      gate,
      work,
      ...(follower && { follower }),
    });
  } finally {
    await follower?.close();
  }
}

function layersOf({ stages }: CheckpointPlan): PlannedLinear[] {
  return stages.flatMap(({ groups }) => groups.flatMap(({ layers }) => layers));
}

async function writeSmallFiles(
  folder: PartialFolder,
  plan: CheckpointPlan,
  layers: readonly LayerResultFigures[],
): Promise<{ name: string; bytes: number }[]> {
  const { checkpoint } = plan.model;
  const written: { name: string; bytes: number }[] = [];
  const write = async (name: string, bytes: Uint8Array): Promise<void> => {
    await folder.write(name, bytes);
    written.push({ name, bytes: bytes.byteLength });
  };
  for (const [name, bytes] of plan.checkpoint.files) await write(name, bytes);
  for (const name of plan.checkpoint.copies) {
    const bytes = await checkpoint.files.read(name);
    if (bytes !== undefined) await write(name, bytes);
  }
  const card = await checkpoint.files.read("README.md");
  const source = card === undefined ? undefined : new TextDecoder().decode(card);
  await write(
    "README.md",
    new TextEncoder().encode(modelCard({ plan, layers, ...(source === undefined ? {} : { source }) })),
  );
  return written;
}
