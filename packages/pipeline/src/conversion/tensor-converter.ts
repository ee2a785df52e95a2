import { elementCount } from "@quern/tensor";
import { closeThreads, taskQueue } from "@quern/threads";
import type { TensorError } from "../errors.ts";
import type { ConversionPlan } from "../plan.ts";
import { ErrorTracker } from "./error-tracker.ts";
import { FinishedTensors } from "./finished-tensors.ts";
import { PartChecksums } from "./part-checksums.ts";
import { planSlabs } from "./plan-slabs.ts";
import { startSlabRunners } from "./start-slab-runners.ts";
import { type TensorPart, TensorPlaces } from "./tensor-places.ts";

/** A tensor that is complete in the files of outputs, which got the same bytes of it. Plain data. */
export interface FinishedPart extends TensorPart {
  /** CRC-32 of the bytes: eight hexadecimal digits in lower case. */
  readonly crc32: string;
}

/** What has become of a tensor of a plan. Plain data. */
export interface TensorOutcome {
  /** Position among the tensors of the plan. */
  readonly tensor: number;
  readonly parts: readonly FinishedPart[];
  /** What that did to its weights, where it was measured. */
  readonly errors: readonly TensorError[];
}

/** Converts single tensors of a plan into partial files that are there already. */
export interface TensorConverter {
  /** For reports: "native avx512". */
  readonly kernels: string;
  /**
   * Several calls may be under way at once.
   *
   * @param params.work Tensors, each once, with the outputs that want them.
   * @param params.signal Ends the work with its reason.
   * @returns in the order of `work`
   * @throws as `convert`
   */
  convert(params: {
    readonly work: readonly TensorPart[];
    readonly signal: AbortSignal;
  }): Promise<TensorOutcome[]>;
  /** Ends the threads. */
  close(): Promise<void>;
}

/**
 * Starts the threads of a plan, for tensors that are named one after another.
 *
 * @param plan Nothing of it is rounded by inputs.
 */
export async function openTensorConverter(plan: ConversionPlan): Promise<TensorConverter> {
  const files = plan.outputs.flatMap((output) => output.files.map(({ path }) => ({ path, isPlaced: false })));
  const runners = await startSlabRunners(plan, { files });
  const places = new TensorPlaces(plan);
  const closed = new AbortController();
  const queue = taskQueue({ threads: runners, lanes: plan.resources.slabsInFlight, signal: closed.signal });

  return {
    kernels: runners[0]!.description,
    async convert({ work, signal }) {
      const { slabs } = planSlabs(plan, allBut(plan, work));
      const errors = new ErrorTracker(plan, places);
      const checksums = new PartChecksums();
      /** Elements of tensors that have been converted. */
      const done = new Map<number, number>();
      const parts = new Map<number, FinishedPart[]>(work.map(({ tensor }) => [tensor, []]));
      const failed = new AbortController();
      const convertSlabs = async (): Promise<void> => {
        while (!failed.signal.aborted) {
          signal.throwIfAborted();
          const { value: slab, done: isOver } = await slabs.next();
          if (isOver === true) return;
          const { tensor, rows, columns, conversions } = slab;
          const result = await queue.run({ kind: "slab", slab });
          if (result.kind !== "slab") return;
          errors.slabDone(slab, result.done);
          checksums.add(slab, result.done);
          const elements = (done.get(tensor) ?? 0) + rows * columns;
          done.set(tensor, elements);
          if (elements < elementCount(plan.tensors[tensor]!.shape)) continue;
          errors.slabsDone(tensor);
          for (const [index, crc32] of checksums.take(tensor).entries()) {
            parts.get(tensor)!.push({ ...places.partOf(tensor, conversions[index]!.targets), crc32 });
          }
        }
      };
      const lanes = runners.length * plan.resources.slabsInFlight;
      await Promise.all(
        Array.from({ length: lanes }, () =>
          convertSlabs().catch((error: unknown) => {
            failed.abort();
            throw error;
          }),
        ),
      );
      return work.map(({ tensor }) => ({
        tensor,
        parts: parts.get(tensor)!,
        errors: errors.ofTensor(tensor),
      }));
    },
    async close() {
      closed.abort();
      await closeThreads(runners);
    },
  };
}

/** As if outputs had everything already but what is to be done. */
function allBut(plan: ConversionPlan, work: readonly TensorPart[]): FinishedTensors {
  const finished = new FinishedTensors(plan);
  const wanted = new Map(work.map(({ tensor, outputs }) => [tensor, outputs]));
  for (const tensor of plan.tensors.keys()) {
    const outputs = [...plan.outputs.keys()].filter(
      (output) => wanted.get(tensor)?.includes(output) !== true,
    );
    finished.add({ tensor, outputs }, "");
  }
  return finished;
}
