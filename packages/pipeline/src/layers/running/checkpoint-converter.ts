import { journalPathOf, readJournal } from "@quern/tensor/node";
import { BufferPool, closeThreads, taskQueue } from "@quern/threads";
import { CHECKPOINT_JOURNAL } from "../../journal/checkpoint-journal.ts";
import type { CheckpointConverter, CheckpointOutcome } from "../delegate.ts";
import { type CheckpointPart, checkpointParts, type PlannedPart } from "../parts.ts";
import type { CheckpointPlan } from "../plan.ts";
import type { RunLayerTask } from "../tasks/task.ts";
import type { ChangedWork } from "./changed-work.ts";
import { changedPlan } from "./changed-plan.ts";
import { checkpointSink } from "./checkpoint-sink.ts";
import { copyTensors } from "./copy-tensors.ts";
import type { FinishedEntry } from "../finished-entry.ts";
import { FinishedWork } from "./finished-work.ts";
import { KnownFactors } from "./known-factors.ts";
import { startLayerThreads } from "./layer-threads.ts";
import { MemoryGate } from "./memory-gate.ts";
import { partialFiles } from "./partial-files.ts";
import { quantizeLayers } from "./quantize-layers.ts";

/**
 * Starts the threads of a plan, for parts that are named one after another, in partial files that are there. Factors that are folded in are
 * those of the journal beside them, as far as it has any.
 *
 * @param plan Its inputs do not follow what layers become.
 */
export async function openCheckpointConverter(plan: CheckpointPlan): Promise<CheckpointConverter> {
  const { resources, model, backend } = plan;
  const threads = await startLayerThreads({
    threads: resources.threads,
    shards: model.checkpoint.shards,
    files: partialFiles(plan),
    backend,
  });
  const closed = new AbortController();
  const queue = taskQueue({ threads, signal: closed.signal });
  const gate = new MemoryGate(resources.groupMemory);
  const pool = new BufferPool();
  const parts = checkpointParts(plan);
  const runUntil =
    (signal: AbortSignal): RunLayerTask =>
    async (task) => {
      signal.throwIfAborted();
      return queue.run(task) as Promise<never>;
    };
  /** What all layers depend on, once one is asked for. */
  let changed: Promise<ChangedWork> | undefined;
  const change = async (): Promise<ChangedWork> => {
    const entries = (await readJournal(journalPathOf(plan.folder), CHECKPOINT_JOURNAL))?.entries ?? [];
    const known = new KnownFactors({ entries });
    return changedPlan({ ...plan, checks: [] }, { known, run: runUntil(closed.signal), gate, pool });
  };

  return {
    kernels: threads[0]!.description,
    async convert({ work, signal }) {
      const failed = new AbortController();
      const run = runUntil(AbortSignal.any([signal, closed.signal, failed.signal]));
      const [before, rest] = [work.filter(isPreparation), work.filter((part) => !isPreparation(part))];
      try {
        const outcomes = new Map<number, CheckpointOutcome>();
        for (const { tensor } of before) outcomes.set(tensor, await prepare(tensor, run));
        if (rest.length > 0) {
          changed ??= change();
          // Another job may have better luck.
          changed.catch(() => (changed = undefined));
          for (const outcome of await write(rest, await changed, run)) outcomes.set(outcome.tensor, outcome);
        }
        return work.map(({ tensor }) => outcomes.get(tensor)!);
      } catch (error) {
        // What is still under way ends with it.
        failed.abort(error);
        throw error;
      }
    },
    async close() {
      closed.abort();
      await closeThreads(threads);
    },
  };

  function isPreparation({ tensor }: CheckpointPart): boolean {
    return parts[tensor]!.preparation !== undefined;
  }

  async function prepare(tensor: number, run: RunLayerTask): Promise<CheckpointOutcome> {
    const { preparation } = parts[tensor]!;
    let found: Pick<CheckpointOutcome, "factors"> = {};
    const known = new KnownFactors({ note: async (entry) => void (found = entry) });
    await changedPlan({ ...plan, ...preparation, stages: [], copies: [] }, { known, run, gate, pool });
    return { tensor, entries: [], ...found };
  }

  async function write(
    work: readonly CheckpointPart[],
    whole: ChangedWork,
    run: RunLayerTask,
  ): Promise<CheckpointOutcome[]> {
    const entries: FinishedEntry[] = [];
    const note = async (entry: object): Promise<void> => void entries.push(entry as FinishedEntry);
    const finished = await FinishedWork.of({ plan, entries: [], run, note });
    const progress = (): void => undefined;
    const { stages, copies } = only(work, whole);
    await Promise.all([
      copyTensors({ copies, run, onPiece: progress, onDone: (copy) => finished.copyDone(copy) }),
      quantizeLayers({
        plan,
        changed: { ...whole, stages },
        known: new KnownFactors(),
        finished,
        gate,
        pool,
        run,
        sink: checkpointSink({ run, progress, finished }),
        progress,
      }),
    ]);
    return work.map(({ tensor }) => ({
      tensor,
      entries: entries.filter((entry) => isOf(parts[tensor]!, entry)),
    }));
  }

  /** The parts of some work, in the order of the plan. */
  function only(
    work: readonly CheckpointPart[],
    { stages, copies }: ChangedWork,
  ): Pick<ChangedWork, "stages" | "copies"> {
    const wanted = new Set(work.map(({ tensor }) => tensor));
    let part = parts.filter(({ preparation }) => preparation !== undefined).length;
    const isWanted = (): boolean => wanted.has(part++);
    return {
      stages: stages.map((stage) => ({ ...stage, groups: stage.groups.filter(isWanted) })),
      copies: copies.filter(isWanted),
    };
  }
}

function isOf({ places }: PlannedPart, { tensors }: FinishedEntry): boolean {
  return places.some(({ name }) => name in tensors);
}
