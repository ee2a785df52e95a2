import { runTasks } from "@quern/threads";
import { QuernError } from "@quern/tensor";
import type { OutputSet } from "@quern/tensor/node";
import type { RecordedTensor } from "../journal/recorded-tensors.ts";
import type { ConversionPlan } from "../plan.ts";
import type { ErrorTracker } from "./error-tracker.ts";
import type { FinishedTensors } from "./finished-tensors.ts";
import type { SlabRunner } from "./slab-runner.ts";
import type { ConversionTask } from "./task.ts";
import type { TensorPart, TensorPlaces } from "./tensor-places.ts";

/**
 * Reads again what an earlier run has finished, and takes as finished what is still the same.
 *
 * @returns how many tensors are not
 * @throws QuernError `RESUME_FILE_CHANGED` for those that can no longer be written: in files that have their final names
 */
export async function checkRecorded(params: {
  readonly plan: ConversionPlan;
  readonly recorded: readonly RecordedTensor[];
  readonly sets: readonly OutputSet[];
  readonly places: TensorPlaces;
  readonly finished: FinishedTensors;
  readonly errors: ErrorTracker;
  readonly threads: readonly SlabRunner[];
  readonly signal: AbortSignal;
}): Promise<number> {
  const { plan, recorded, sets, places, finished, errors, threads, signal } = params;
  const indices = new Map(plan.tensors.map(({ name }, index) => [name, index]));
  const tasks = new Map<ConversionTask, { readonly part: TensorPart; readonly record: RecordedTensor }>();
  for (const record of recorded) {
    const part = { tensor: indices.get(record.tensor)!, outputs: [record.output] };
    tasks.set(places.checksumTask(part), { part, record });
  }
  await runTasks({
    tasks: tasks.keys(),
    threads,
    lanes: plan.resources.slabsInFlight,
    signal,
    onDone: (task, result) => {
      const { part, record } = tasks.get(task)!;
      if (result.kind !== "checksum" || result.crc32 !== record.crc32) return;
      finished.add(part, record.crc32);
      if (record.error !== undefined) errors.restore(part.tensor, [record.error]);
    },
  });
  checkPlaced({ plan, sets, finished });
  const changed = recorded.filter(({ output, tensor }) => !finished.has(output, tensor));
  return changed.length;
}

/** Files that have their final names are whole, or somebody has changed them. */
function checkPlaced(params: {
  readonly plan: ConversionPlan;
  readonly sets: readonly OutputSet[];
  readonly finished: FinishedTensors;
}): void {
  const { plan, sets, finished } = params;
  for (const [output, { tensors }] of plan.outputs.entries()) {
    for (const { source, name, file } of tensors) {
      const { isPlaced, path } = sets[output]!.files[file]!;
      if (isPlaced && !finished.has(output, source)) throw fileChanged(path, name);
    }
  }
}

function fileChanged(file: string, tensor: string): QuernError {
  return new QuernError(
    "RESUME_FILE_CHANGED",
    `${file}: "${tensor}" has been changed since an unfinished conversion wrote it. ` +
      "Restart to throw away what is unfinished; force replaces files that have their names already.",
    { subject: { file, tensor } },
  );
}
