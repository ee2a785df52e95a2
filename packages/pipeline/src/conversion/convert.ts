import type { Journal, OutputSet } from "@quern/tensor/node";
import type { ConversionEvent, ConversionReport } from "../events.ts";
import { closeThreads, runTasks } from "@quern/threads";
import type { KnownFactors } from "../layers/running/known-factors.ts";
import type { ConversionEntry, TensorRecord } from "../journal/conversion-journal.ts";
import type { ConversionPlan } from "../plan.ts";
import { canGoOn } from "./can-go-on.ts";
import { checkRecorded } from "./check-recorded.ts";
import { convertElsewhere } from "./convert-elsewhere.ts";
import type { ConversionDelegate } from "./delegate.ts";
import { ErrorTracker } from "./error-tracker.ts";
import { EventQueue } from "./event-queue.ts";
import { FinishedTensors } from "./finished-tensors.ts";
import { PartChecksums } from "./part-checksums.ts";
import { Profiler } from "./profile.ts";
import { type OpenedOutputs, openOutputs } from "./open-outputs.ts";
import { ProgressTracker } from "./progress-tracker.ts";
import { planSlabs } from "./plan-slabs.ts";
import type { Slab } from "./slab.ts";
import type { ConversionTask } from "./task.ts";
import type { SlabRunner } from "./slab-runner.ts";
import { startSlabRunners } from "./start-slab-runners.ts";
import { type TensorPart, TensorPlaces } from "./tensor-places.ts";
import { unfinishedRounding } from "./unfinished-rounding.ts";

export interface ConvertIterOptions {
  /** Stops the conversion and removes what it has written; the iteration throws the reason of the signal. */
  readonly signal?: AbortSignal;
  /**
   * Who converts the tensors, into the partial files that are made here; of a plan whose inputs do not follow what layers become.
   *
   * @default threads of this process
   */
  readonly delegate?: ConversionDelegate;
  /**
   * Called when all files have their names, and waited for before the journal goes: for what is to be made of the report, such as
   * manifests. When it fails, or the process ends meanwhile, the next run of an equal plan finds the files complete, and calls it again.
   */
  readonly onWritten?: (report: ConversionReport) => Promise<void>;
}

export interface ConvertOptions extends ConvertIterOptions {
  /** Called for every event, in order. */
  readonly onEvent?: (event: ConversionEvent) => void;
}

/**
 * Runs a plan: reads every weight once, and writes all outputs. Files bear the name `<path>.partial` until they are complete
 * and on disk; an output of several files when all of them are. After an interruption, or a failure that another attempt can mend, they stay
 * with a journal beside them, and the same plan goes on with them; after any other failure only outputs that are finished do.
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
  const { delegate, onWritten } = options;
  const run = execute({ plan, delegate, onWritten, signal, emit: (event) => queue.push(event) });
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

async function execute(params: {
  readonly plan: ConversionPlan;
  readonly delegate: ConversionDelegate | undefined;
  readonly onWritten: ConvertIterOptions["onWritten"];
  readonly signal: AbortSignal;
  readonly emit: (event: ConversionEvent) => void;
}): Promise<ConversionReport> {
  const { plan, onWritten, signal, emit } = params;
  signal.throwIfAborted();
  const outputs = await openOutputs(plan);
  const finished = new FinishedTensors(plan);
  try {
    const report = await run({ ...params, outputs, finished });
    // While there is a journal, a run that is killed here is gone on with, and leaves nothing.
    await plan.rounding?.inputs.discard?.();
    await onWritten?.(report);
    await outputs.journal.remove();
    emit({ type: "done", report });
    return report;
  } catch (error) {
    if (finished.count > 0 && canGoOn(error, signal)) {
      await Promise.all(outputs.sets.map((set) => set.close()));
      await outputs.journal.close();
      emit({ type: "stop", tensors: finished.count });
    } else {
      // Outputs that are whole stay.
      await Promise.all(outputs.sets.map((set) => (set.isPlaced ? set.close() : set.abandon())));
      await outputs.journal.remove();
      await plan.rounding?.inputs.discard?.();
    }
    throw error;
  }
}

async function run(params: {
  readonly plan: ConversionPlan;
  readonly delegate: ConversionDelegate | undefined;
  readonly outputs: OpenedOutputs;
  /** Gets all tensors as they are finished. */
  readonly finished: FinishedTensors;
  readonly signal: AbortSignal;
  readonly emit: (event: ConversionEvent) => void;
}): Promise<ConversionReport> {
  const { plan, delegate, outputs, finished, signal, emit } = params;
  const { journal, sets, recorded } = outputs;
  const started = performance.now();
  const profiler = new Profiler();
  const places = new TensorPlaces(plan);
  const errors = new ErrorTracker(plan, places);
  const partDone = async (part: TensorPart, crc32: string): Promise<void> => {
    await journal.append(recordOf({ plan, part, crc32, errors }));
    finished.add(part, crc32);
  };
  let runners: readonly SlabRunner[] = [];
  try {
    const folding = await foldingOf(plan, outputs);
    const folded = folding === undefined || folding.later.size > 0 ? plan : await folding.plan(signal);
    // Others find factors in the journal.
    if (delegate !== undefined && folding !== undefined) await journal.settle();
    const tasks = delegate === undefined ? planSlabs(folded).count : recorded.length;
    runners = await startSlabRunners(plan, { files: sets.flatMap((set) => set.files), tasks });
    const redone = await checkRecorded({
      plan,
      recorded,
      sets,
      places,
      finished,
      errors,
      threads: runners,
      signal,
    });
    profiler.ready();
    const tracker = new ProgressTracker({ plan, emit, errors, places, finished });
    const lanes = plan.resources.slabsInFlight;
    tracker.start();
    if (recorded.length > 0) tracker.resumed(redone);
    const rounding = folded.rounding && unfinishedRounding(folded.rounding, { places, finished });
    let kernels = runners[0]!.description;
    if (delegate === undefined) {
      const { slabs } = planSlabs(folded, finished, folding?.later);
      await convertSlabs({ slabs, runners, lanes, partDone, tracker, profiler, signal });
      profiler.slabsDone({ idle: runners.map((runner) => runner.idleTime()) });
    }
    await closeThreads(runners);
    runners = [];
    if (delegate !== undefined) {
      const params = { plan, delegate, places, finished, partDone, tracker, signal };
      kernels = (await convertElsewhere({ ...params, byInputs: false })) ?? kernels;
      profiler.slabsDone({ idle: [] });
      if (rounding !== undefined) {
        kernels = (await convertElsewhere({ ...params, byInputs: true })) ?? kernels;
        profiler.rounded();
      }
    } else if (rounding !== undefined) {
      const { roundTensors } = await import("./round-tensors.ts");
      const { known } = folding ?? {};
      await roundTensors({ plan, rounding, known, sets, places, finished, partDone, tracker, signal });
      if (folding !== undefined && folding.later.size > 0) {
        const { slabs, count } = planSlabs(await folding.plan(signal), finished);
        runners = await startSlabRunners(plan, { files: sets.flatMap((set) => set.files), tasks: count });
        await convertSlabs({ slabs, runners, lanes, partDone, tracker, signal });
        await closeThreads(runners);
        runners = [];
      }
      profiler.rounded();
    }
    signal.throwIfAborted();
    for (const [index, set] of sets.entries()) {
      await finishOutput({ journal, set, index });
      emit({
        type: "output:done",
        files: set.files.map(({ path }) => path),
        bytes: set.files.reduce((sum, { size }) => sum + size, 0),
      });
    }
    return {
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
  } finally {
    await closeThreads(runners);
  }
}

/** Runs slabs, and notes what they have completed. */
async function convertSlabs(params: {
  readonly slabs: AsyncIterable<Slab>;
  readonly runners: readonly SlabRunner[];
  /** Slabs that each of them has in hand. */
  readonly lanes: number;
  readonly partDone: (part: TensorPart, crc32: string) => Promise<void>;
  readonly tracker: ProgressTracker;
  /** Default: the time is that of whatever they follow. */
  readonly profiler?: Profiler;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { slabs, runners, lanes, partDone, tracker, profiler, signal } = params;
  const checksums = new PartChecksums();
  await runTasks({
    tasks: slabTasks(slabs),
    threads: runners,
    lanes,
    signal,
    onStart: (task) => {
      if (task.kind === "slab") tracker.slabStarted(task.slab);
    },
    onDone: async (task, result) => {
      if (task.kind !== "slab" || result.kind !== "slab") return;
      const { slab } = task;
      profiler?.add(result.done.times);
      checksums.add(slab, result.done);
      const complete = tracker.slabDone(slab, result.done);
      if (complete.length === 0) return;
      const found = checksums.take(slab.tensor);
      for (const [index, part] of complete.entries()) await partDone(part, found[index]!);
    },
  });
}

async function* slabTasks(slabs: AsyncIterable<Slab>): AsyncGenerator<ConversionTask, void, undefined> {
  for await (const slab of slabs) yield { kind: "slab", slab };
}

function recordOf(params: {
  readonly plan: ConversionPlan;
  readonly part: TensorPart;
  readonly crc32: string;
  readonly errors: ErrorTracker;
}): TensorRecord {
  const { plan, part, crc32 } = params;
  const { tensor, outputs } = part;
  const errors = params.errors.ofTensor(tensor).filter(({ output }) => outputs.includes(output));
  return { tensor: plan.tensors[tensor]!.name, outputs, crc32, ...(errors.length > 0 && { errors }) };
}

/** Gives an output its final names, after noting that they may be there; one that an earlier run has finished is left as it is. */
async function finishOutput(params: {
  readonly journal: Journal<ConversionEntry>;
  readonly set: OutputSet;
  readonly index: number;
}): Promise<void> {
  const { journal, set, index } = params;
  if (!set.isPlaced) await journal.append({ finishing: index });
  await journal.settle();
  await set.finish();
}

/** Factors that are folded into the weights of a plan. */
interface PlanFolding {
  /** Those that have been chosen. */
  readonly known: KnownFactors;
  /** Tensors of the model that wait for factors which are chosen while others are rounded. */
  readonly later: ReadonlySet<string>;
  /** The plan with all factors folded in; chooses those that are not known. */
  readonly plan: (signal: AbortSignal) => Promise<ConversionPlan>;
}

/** What folds factors is loaded only where there are some. */
async function foldingOf(plan: ConversionPlan, outputs: OpenedOutputs): Promise<PlanFolding | undefined> {
  if (plan.rounding === undefined || plan.rounding.foldings.length === 0) return undefined;
  const { foldPlan, knownFactors, tensorsFoldedLater } = await import("./fold-plan.ts");
  const known = knownFactors(outputs);
  return { known, later: tensorsFoldedLater(plan), plan: (signal) => foldPlan(plan, { signal, known }) };
}
