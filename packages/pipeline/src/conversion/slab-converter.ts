import { elementCount } from "@quern/tensor";
import { closeThreads, taskQueue } from "@quern/threads";
import type { ConversionPlan } from "../plan.ts";
import { allBut } from "./all-but.ts";
import { ErrorTracker } from "./error-tracker.ts";
import { PartChecksums } from "./part-checksums.ts";
import { planSlabs } from "./plan-slabs.ts";
import { startSlabRunners } from "./start-slab-runners.ts";
import type { FinishedPart, TensorConverter } from "./tensor-converter.ts";
import { TensorPlaces } from "./tensor-places.ts";

/** Starts the threads that convert slabs of a plan: what of it is not rounded by inputs. */
export async function openSlabConverter(plan: ConversionPlan): Promise<TensorConverter> {
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
