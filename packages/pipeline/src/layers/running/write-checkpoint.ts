import { closeThreads, taskQueue } from "@quern/threads";
import { canGoOn } from "../../conversion/can-go-on.ts";
import type { CheckpointEvent, CheckpointReport, LayerResultFigures } from "../events.ts";
import type { CheckpointDelegate } from "../delegate.ts";
import { modelCard } from "../model-card.ts";
import type { CheckpointPlan } from "../plan.ts";
import { folderManifest } from "../../provenance/folder-manifest.ts";
import type { FinishedWork } from "./finished-work.ts";
import { type OpenRun, openRun } from "./open-run.ts";
import { startLayerThreads } from "./layer-threads.ts";
import { partialFiles } from "./partial-files.ts";
import type { PartialFolder } from "./partial-folder.ts";
import { TaskTimes } from "./task-times.ts";
import { writeTensors, type WrittenTensors } from "./write-tensors.ts";

export interface WriteCheckpointOptions {
  /** Ends the run; what it has finished stays for a later one. The reason of the signal is thrown. */
  readonly signal?: AbortSignal;
  /**
   * Who makes the tensors, in the files that are made here; of a plan without inputs that follow what layers become.
   *
   * @default threads of this process
   */
  readonly delegate?: CheckpointDelegate;
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
  const { signal, onEvent } = options;
  signal?.throwIfAborted();
  const run = await openRun(plan);
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
    if (tensors > 0 && plan.identity !== undefined && canGoOn(error, signal)) {
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
  const threads = await startLayerThreads({
    // Those that read back, while others do the work.
    threads: options.delegate === undefined ? plan.resources.threads : Math.min(1, plan.resources.threads),
    shards: plan.model.checkpoint.shards,
    files: partialFiles(plan),
    backend: plan.backend,
  });
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
  const { finished, resumed, tensors, kernels = threads[0]!.description } = written;
  const layers = finished.results(plan);
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
