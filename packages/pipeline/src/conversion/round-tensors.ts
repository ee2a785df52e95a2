import { type OutputSet, partialPathOf } from "@quern/tensor/node";
import { digestOf } from "../journal/digest.ts";
import type { BlockRounding } from "../layers/block-plan.ts";
import type { KnownFactors } from "../layers/running/known-factors.ts";
import { writeBlocks } from "../layers/running/write-blocks.ts";
import type { ConversionPlan } from "../plan.ts";
import type { FinishedTensors } from "./finished-tensors.ts";
import type { ProgressTracker } from "./progress-tracker.ts";
import type { TensorPart, TensorPlaces } from "./tensor-places.ts";

/** What is rounded by inputs goes into the same files. */
export async function roundTensors(params: {
  readonly plan: ConversionPlan;
  /** What is left of it. */
  readonly rounding: BlockRounding;
  /** Factors that are folded in, if any are. */
  readonly known: KnownFactors | undefined;
  /** Of all outputs, in their order. */
  readonly sets: readonly OutputSet[];
  readonly places: TensorPlaces;
  readonly finished: FinishedTensors;
  readonly partDone: (part: TensorPart, crc32: string) => Promise<void>;
  readonly tracker: ProgressTracker;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { plan, rounding, known, sets, places, finished, partDone, tracker, signal } = params;
  const files = sets.flatMap((set) => set.files);
  /** One tensor is read back after another, while others are rounded. */
  let recorded: Promise<void> = Promise.resolve();
  const record = async (part: TensorPart): Promise<void> => {
    const { file, offset, size } = places.checksumTask(part);
    await partDone(part, await files[file]!.checksum(offset, size));
  };
  await writeBlocks({
    rounding,
    ...(known && { known }),
    shards: plan.checkpoint.shards,
    ...(plan.backend === undefined ? {} : { backend: plan.backend }),
    signal,
    measuresOutputs: plan.hessians !== undefined,
    files: files.map(({ path, isPlaced }) => ({ path, name: isPlaced ? path : partialPathOf(path) })),
    run: digestOf(plan.identity.digests),
    isFinished: ({ name, targets }) => targets.every(({ file }) => finished.has(places.outputOf(file), name)),
    write: (file, bytes, offset) => files[file]!.write(bytes, offset),
    onRows: (planned, rows) => tracker.rowsRounded(planned, rows),
    onWritten: (planned, bytes) => tracker.matrixWritten(planned, bytes),
    onTensor: (planned, tensor) => {
      const part = tracker.tensorRounded(planned, tensor);
      recorded = recorded.then(() => record(part));
      recorded.catch(() => undefined);
      return recorded;
    },
  }).finally(() => recorded.catch(() => undefined));
  await recorded;
}
