import {
  BufferPool,
  closeThreads,
  compiledModule,
  startThreads,
  type TaskQueue,
  taskQueue,
} from "@quern/threads";
import type { CheckpointEvent, CheckpointReport, LayerResultFigures } from "../events.ts";
import { modelCard } from "../model-card.ts";
import { createService } from "../node/layer-service.ts";
import type { CheckpointPlan, PlannedLinear } from "../plan.ts";
import type { LayerResult, LayerTask, RunLayerTask } from "../tasks/task.ts";
import { folderManifest } from "../../provenance/folder-manifest.ts";
import { type CheckpointSink, checkpointSink } from "./checkpoint-sink.ts";
import { copyTensors } from "./copy-tensors.ts";
import type { ChangedWork } from "./changed-work.ts";
import { foldFactors } from "./fold-factors.ts";
import { followLayers } from "./follow-layers.ts";
import { MemoryGate } from "./memory-gate.ts";
import { createPartialFolder, type PartialFolder } from "./partial-folder.ts";
import type { LayerWork } from "./quantize-group.ts";
import { quantizeLayer } from "./quantize-layer.ts";
import { quantizeStages } from "./quantize-stages.ts";
import { rotateWeights } from "./rotate-weights.ts";
import { TaskTimes } from "./task-times.ts";

export interface WriteCheckpointOptions {
  /** Stops the run and removes what it has written; the reason of the signal is thrown. */
  readonly signal?: AbortSignal;
  /** Called for every event, in order. */
  readonly onEvent?: (event: CheckpointEvent) => void;
}

/**
 * Runs a plan: quantizes the layers group by group, copies everything else, and writes the folder of the model. Until it is complete and on
 * disk, the folder is called `<folder>.partial`; whatever goes wrong, nothing of it stays.
 *
 * @throws the reason of `signal`; QuernError `WEIGHT_NOT_FINITE`, `FOLDING_CHANGES_MODEL`, `QUANTIZE_*`, `STATISTICS_*`, `CHECKPOINT_CHANGED`, `SOURCE_*`,
 * `OUTPUT_EXISTS` (since the plan), `OUTPUT_NOT_WRITABLE`, `OUTPUT_DISK_FULL`, `OUTPUT_WRITE_FAILED`, `WORKER_FAILED`, `WORKER_MISSING`
 */
export async function writeCheckpoint(
  plan: CheckpointPlan,
  options: WriteCheckpointOptions = {},
): Promise<CheckpointReport> {
  const { signal, onEvent } = options;
  signal?.throwIfAborted();
  const folder = await createPartialFolder({ path: plan.folder, replace: plan.replaces });
  try {
    const report = await writeInto(folder, plan, { ...options, started: performance.now() });
    onEvent?.({ type: "done", report });
    return report;
  } finally {
    await folder.abandon();
  }
}

async function writeInto(
  folder: PartialFolder,
  plan: CheckpointPlan,
  options: WriteCheckpointOptions & { readonly started: number },
): Promise<CheckpointReport> {
  const { shards } = plan.checkpoint.shards;
  for (const { fileName: name, layout } of shards) {
    await folder.create({ name, size: layout.fileSize, header: layout.header });
  }
  const threads = await startThreads({
    count: plan.resources.threads,
    createService,
    module: () => compiledModule("../node/layer-service.ts", import.meta.url),
    options: {
      shards: plan.model.checkpoint.shards,
      files: shards.map(({ fileName }) => folder.pathOf(fileName)),
      ...(plan.backend === undefined ? {} : { backend: plan.backend }),
    },
  });
  const kernels = threads[0]!.description;
  const times = new TaskTimes();
  let layers: readonly LayerResultFigures[];
  try {
    layers = await writeTensors(plan, options, (signal) =>
      taskQueue({ threads: times.watch(threads), signal }),
    );
  } finally {
    await closeThreads(threads);
  }
  const written = await writeSmallFiles(folder, plan, layers);
  if (plan.origin !== undefined) {
    const { name, bytes } = await folderManifest({
      folder,
      plan,
      origin: plan.origin,
      kernels,
      layers,
      written,
      ...(options.signal && { signal: options.signal }),
    });
    await folder.write(name, bytes);
    written.push({ name, bytes: bytes.byteLength });
  }
  options.signal?.throwIfAborted();
  await folder.finish();
  const files = [
    ...shards.map(({ fileName, layout }) => ({ name: fileName, bytes: layout.fileSize })),
    ...written,
  ];
  return {
    folder: plan.folder,
    files,
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    layers,
    parameters: plan.parameters,
    sourceBytes: plan.sourceBytes,
    seconds: (performance.now() - options.started) / 1000,
    times: times.list(),
    kernels,
    warnings: plan.warnings,
  };
}

/**
 * Makes all tensors of a plan.
 *
 * @param queueWith Gives the threads that make and write them.
 */
export async function writeTensors(
  plan: CheckpointPlan,
  { signal, onEvent }: WriteCheckpointOptions,
  queueWith: (signal: AbortSignal) => TaskQueue<LayerTask, LayerResult>,
): Promise<readonly LayerResultFigures[]> {
  const failed = new AbortController();
  const stop = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
  const queue = queueWith(stop);
  const run: RunLayerTask = (task) => queue.run(task) as Promise<never>;
  const { parameters: total } = plan;
  let done = 0;
  let bytesWritten = 0;
  const progress = (tensor: string, elements: number, bytes: number): void => {
    done += elements;
    bytesWritten += bytes;
    onEvent?.({ type: "progress", tensor, done, total, bytesWritten });
  };
  onEvent?.({
    type: "start",
    tensors: plan.model.tensors.size,
    layers: plan.stages.reduce(
      (sum, { groups }) => sum + groups.reduce((count, { layers }) => count + layers.length, 0),
      0,
    ),
    parameters: total,
    folder: plan.folder,
  });
  const sink = checkpointSink({ run, progress, ...(onEvent && { onEvent }) });
  const pool = new BufferPool();
  const gate = new MemoryGate(plan.resources.groupMemory);
  try {
    const { rotation } = plan;
    const changed =
      rotation === undefined
        ? await foldFactors({ plan, run, gate, pool })
        : await rotateWeights({ plan, rotation, run, gate });
    await Promise.all([
      copyTensors({
        copies: changed.copies,
        run,
        onPiece: ({ weights }, rows, bytes) => progress(weights.tensor, rows * weights.columns, bytes),
      }),
      quantizeLayers({ plan, changed, gate, pool, run, sink, progress }),
    ]);
  } catch (error) {
    // What is still under way ends with it.
    failed.abort(error);
    throw error;
  }
  return sink.results(plan);
}

async function quantizeLayers(params: {
  readonly plan: CheckpointPlan;
  readonly changed: ChangedWork;
  readonly gate: MemoryGate;
  readonly pool: BufferPool;
  readonly run: RunLayerTask;
  readonly sink: CheckpointSink;
  readonly progress: (tensor: string, elements: number, bytes: number) => void;
}): Promise<void> {
  const { plan, changed, gate, pool, run, sink, progress } = params;
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
      await follower?.layerDone(planned, quantized);
      lease.release();
    },
  };
  try {
    await quantizeStages({ stages: changed.stages, gate, work, ...(follower && { follower }) });
  } finally {
    await follower?.close();
  }
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
