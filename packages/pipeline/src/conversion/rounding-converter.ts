import { BufferPool, closeThreads, taskQueue } from "@quern/threads";
import { partialPathOf } from "@quern/tensor/node";
import { startLayerThreads } from "../layers/running/layer-threads.ts";
import { MemoryGate } from "../layers/running/memory-gate.ts";
import { roundStages } from "../layers/running/write-blocks.ts";
import { FileWriter } from "../node/file-writer.ts";
import type { ConversionPlan } from "../plan.ts";
import { allBut } from "./all-but.ts";
import { ErrorTracker } from "./error-tracker.ts";
import type { FinishedPart, TensorConverter } from "./tensor-converter.ts";
import { type TensorPart, TensorPlaces } from "./tensor-places.ts";
import { unfinishedRounding } from "./unfinished-rounding.ts";

/**
 * Starts the threads that round tensors of a plan by what is known of their inputs, which do not follow what layers become.
 *
 * @param params.plan With all factors folded in.
 * @param params.measuresOutputs Whether errors are measured with the Hessian, too.
 */
export async function openRoundingConverter({
  plan,
  measuresOutputs,
}: {
  readonly plan: ConversionPlan;
  readonly measuresOutputs: boolean;
}): Promise<TensorConverter> {
  const rounding = plan.rounding!;
  const { resources } = rounding;
  const files = plan.outputs.flatMap((output) =>
    output.files.map(({ path }) => ({ path, name: partialPathOf(path) })),
  );
  const threads = await startLayerThreads({
    threads: resources.threads,
    shards: plan.checkpoint.shards,
    files,
    backend: plan.backend,
  });
  const writer = new FileWriter(files);
  const places = new TensorPlaces(plan);
  const closed = new AbortController();
  const queue = taskQueue({ threads, signal: closed.signal });
  const memory = { gate: new MemoryGate(resources.groupMemory), pool: new BufferPool() };

  return {
    kernels: threads[0]!.description,
    async convert({ work, signal }) {
      const failed = new AbortController();
      const stop = AbortSignal.any([signal, failed.signal]);
      const errors = new ErrorTracker(plan, places);
      const parts = new Map<number, FinishedPart[]>(work.map(({ tensor }) => [tensor, []]));
      const finish = async (part: TensorPart): Promise<void> => {
        const { file, offset, size } = places.checksumTask(part);
        parts.get(part.tensor)!.push({ ...part, crc32: await writer.checksum(file, offset, size) });
      };
      const finished: Promise<void>[] = [];
      try {
        await roundStages(
          {
            rounding: unfinishedRounding(rounding, { places, finished: allBut(plan, work) }),
            measuresOutputs,
            ...memory,
            write: (file, bytes, offset) => writer.write(file, bytes, offset),
            onRows: () => undefined,
            onWritten: () => undefined,
            async onTensor(planned, rounded) {
              errors.roundedDone(planned, rounded);
              finished.push(finish(places.partOf(planned.tensor, planned.targets)));
            },
          },
          async (task) => {
            stop.throwIfAborted();
            return queue.run(task) as Promise<never>;
          },
        );
        await Promise.all(finished);
      } catch (error) {
        // What is still under way ends with it.
        failed.abort(error);
        throw error;
      }
      return work.map(({ tensor }) => ({
        tensor,
        parts: parts.get(tensor)!,
        errors: errors.ofTensor(tensor),
      }));
    },
    async close() {
      closed.abort();
      await closeThreads(threads);
      await writer.close();
    },
  };
}
