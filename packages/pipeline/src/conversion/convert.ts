import { createOutputSet, type OutputSet } from "@quern/tensor/node";
import type { ConversionEvent, ConversionReport } from "../events.ts";
import { closeThreads, compiledModule, runTasks, startThreads } from "@quern/threads";
import { createService } from "../node/slab-service.ts";
import type { BlockRounding } from "../layers/block-plan.ts";
import { writeBlocks } from "../layers/running/write-blocks.ts";
import type { ConversionPlan, PlannedOutput } from "../plan.ts";
import { ErrorTracker } from "./error-tracker.ts";
import { EventQueue } from "./event-queue.ts";
import { FinishedTensors } from "./finished-tensors.ts";
import { foldPlan } from "./fold-plan.ts";
import { Profiler } from "./profile.ts";
import { ProgressTracker } from "./progress-tracker.ts";
import { planSlabs } from "./plan-slabs.ts";
import { SLABS_IN_FLIGHT, type SlabRunner } from "./slab-runner.ts";
import { TaskOrder } from "./task-order.ts";
import { type TensorPart, TensorPlaces } from "./tensor-places.ts";

export interface ConvertIterOptions {
  /** Stops the conversion and removes what it has written; the iteration throws the reason of the signal. */
  readonly signal?: AbortSignal;
}

export interface ConvertOptions extends ConvertIterOptions {
  /** Called for every event, in order. */
  readonly onEvent?: (event: ConversionEvent) => void;
}

/**
 * Runs a plan: reads every weight once, and writes all outputs. Files bear the name `<path>.partial` until they are complete
 * and on disk. Whatever goes wrong, no partial file stays; outputs that are finished already do. An output of several files is
 * finished when all of them are.
 *
 * Leaving the loop early stops the conversion.
 *
 * @returns the report, which the last event holds too
 * @throws the reason of `signal`; QuernError `WEIGHT_NOT_FINITE`, `WEIGHT_OVERFLOWS`, `CHECKPOINT_CHANGED`, `SOURCE_*`,
 * `OUTPUT_EXISTS` (since the plan), `OUTPUT_NOT_WRITABLE`, `OUTPUT_DISK_FULL`, `OUTPUT_WRITE_FAILED`, `OUTPUT_REPLACED`,
 * `WORKER_FAILED`, `WORKER_MISSING`; of what is rounded by inputs also `QUANTIZE_*` and `STATISTICS_*`
 */
export async function* convertIter(
  plan: ConversionPlan,
  options: ConvertIterOptions = {},
): AsyncGenerator<ConversionEvent, ConversionReport, undefined> {
  const left = new AbortController();
  const signal = options.signal === undefined ? left.signal : AbortSignal.any([options.signal, left.signal]);
  const queue = new EventQueue<ConversionEvent>();
  const run = execute(plan, signal, (event) => queue.push(event));
  run.then(
    () => queue.end(),
    (error: unknown) => queue.fail(error),
  );
  try {
    yield* queue;
    return await run;
  } finally {
    left.abort();
    await run.catch(() => undefined);
  }
}

/** Runs a plan as {@link convertIter} does, and waits for the end. */
export async function convert(plan: ConversionPlan, options: ConvertOptions = {}): Promise<ConversionReport> {
  const { onEvent, ...rest } = options;
  const events = convertIter(plan, rest);
  for (;;) {
    const step = await events.next();
    if (step.done === true) return step.value;
    onEvent?.(step.value);
  }
}

async function execute(
  plan: ConversionPlan,
  signal: AbortSignal,
  emit: (event: ConversionEvent) => void,
): Promise<ConversionReport> {
  const started = performance.now();
  const profiler = new Profiler();
  const unfinished = new Set<OutputSet>();
  let runners: readonly SlabRunner[] = [];
  try {
    signal.throwIfAborted();
    for (const output of plan.outputs) unfinished.add(await createOutput(output, plan.force));
    const folded = await foldPlan(plan, signal);
    const { slabs, count } = planSlabs(folded);
    runners = await startThreads({
      count: Math.min(plan.resources.threads, count),
      createService,
      module: () => compiledModule("../node/slab-service.ts", import.meta.url),
      options: {
        shards: plan.checkpoint.shards,
        files: plan.outputs.flatMap(({ files }) => files.map(({ path }) => path)),
        ...(plan.hessians === undefined ? {} : { statistics: plan.hessians.path }),
        ...(plan.backend === undefined ? {} : { backend: plan.backend }),
      },
    });
    const kernels = runners[0]!.description;
    profiler.ready();
    const places = new TensorPlaces(plan);
    const finished = new FinishedTensors(plan);
    const errors = new ErrorTracker(plan, places);
    const tracker = new ProgressTracker({ plan, emit, errors, places });
    tracker.start();
    const tasks = new TaskOrder(slabs);
    await runTasks({
      tasks,
      threads: runners,
      lanes: SLABS_IN_FLIGHT,
      signal,
      onStart: (task) => {
        if (task.kind === "slab") tracker.slabStarted(task.slab);
      },
      onDone: (task, result) => {
        if (task.kind === "slab" && result.kind === "slab") {
          profiler.add(result.done.times);
          const complete = tracker.slabDone(task.slab, result.done);
          for (const part of complete) tasks.hash(places.hashTask(part));
        } else if (task.kind === "hash" && result.kind === "hash") {
          finished.add(task.part, result.sha256);
        }
        tasks.done();
      },
    });
    profiler.slabsDone({ idle: runners.map((runner) => runner.idleTime()) });
    await closeThreads(runners);
    runners = [];
    if (plan.rounding !== undefined) {
      const sets = [...unfinished];
      await roundTensors({ plan, rounding: folded.rounding!, sets, places, finished, tracker, signal });
      profiler.rounded();
    }
    for (const set of unfinished) {
      await set.finish();
      unfinished.delete(set);
      emit({
        type: "output:done",
        files: set.files.map(({ path }) => path),
        bytes: set.files.reduce((sum, { size }) => sum + size, 0),
      });
    }
    const report: ConversionReport = {
      outputs: plan.outputs.map((output, index) => {
        const measured = errors.outputDone(index);
        return {
          type: output.type,
          files: output.files.map(({ path, fileSize: bytes }) => ({ path, bytes })),
          bytes: output.fileSize,
          tensors: finished.ofOutput(index),
          ...(measured.length === 0 ? {} : { errors: measured }),
        };
      }),
      tensors: plan.tensors.length,
      parameters: plan.parameters,
      sourceBytes: plan.sourceBytes,
      seconds: (performance.now() - started) / 1000,
      kernels,
      profile: profiler.finished(),
    };
    emit({ type: "done", report });
    return report;
  } finally {
    await closeThreads(runners);
    await Promise.all([...unfinished].map((set) => set.abandon()));
  }
}

/** What is rounded by inputs goes into the same files. */
async function roundTensors(params: {
  readonly plan: ConversionPlan;
  readonly rounding: BlockRounding;
  /** Of all outputs, in their order. */
  readonly sets: readonly OutputSet[];
  readonly places: TensorPlaces;
  readonly finished: FinishedTensors;
  readonly tracker: ProgressTracker;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { plan, rounding, sets, places, finished, tracker, signal } = params;
  const files = sets.flatMap((set) => set.files);
  /** One tensor is hashed after another, while others are rounded. */
  let hashed: Promise<void> = Promise.resolve();
  const hash = async (part: TensorPart): Promise<void> => {
    const { file, offset, size } = places.hashTask(part);
    finished.add(part, await files[file]!.hash(offset, size));
  };
  await writeBlocks({
    rounding,
    shards: plan.checkpoint.shards,
    ...(plan.backend === undefined ? {} : { backend: plan.backend }),
    signal,
    measuresOutputs: plan.hessians !== undefined,
    write: (file, bytes, offset) => files[file]!.write(bytes, offset),
    onRows: (planned, rows) => tracker.rowsRounded(planned, rows),
    onWritten: (planned, bytes) => tracker.matrixWritten(planned, bytes),
    onTensor: (planned, tensor) => {
      const part = tracker.tensorRounded(planned, tensor);
      hashed = hashed.then(() => hash(part));
      hashed.catch(() => undefined);
    },
  }).finally(() => hashed.catch(() => undefined));
  await hashed;
}

function createOutput({ files }: PlannedOutput, replace: boolean): Promise<OutputSet> {
  return createOutputSet({
    files: files.map(({ path, fileSize, layout }) => ({ path, size: fileSize, header: layout.header })),
    replace,
  });
}
