import type { RunnableModel } from "@quern/inference";
import { type KernelBackend, loadKernels } from "@quern/kernels";
import { longestOf } from "./divide-memory.ts";
import { estimateSeconds, type Operations } from "./estimate.ts";
import { residentMemory } from "./resident-memory.ts";

/** What a run is going to take. */
export interface RunEstimate {
  readonly operations: Operations;
  readonly seconds: number;
  /** Of the process: resident memory in bytes. */
  readonly peakMemory: number;
}

/**
 * @param params.lengths Tokens of each window.
 * @param params.weights Bytes of the weights that are in memory at once.
 * @param params.buffers Bytes of everything else that is shared among threads.
 * @throws QuernError `KERNEL_*`
 */
export async function estimateRun(params: {
  readonly model: RunnableModel;
  readonly operations: Operations;
  readonly threads: number;
  readonly backend: KernelBackend | undefined;
  readonly lengths: readonly number[];
  readonly weights: number;
  readonly buffers: number;
}): Promise<RunEstimate> {
  const { model, operations, threads, backend, lengths, weights, buffers } = params;
  const kernels = await loadKernels(backend === undefined ? {} : { backend });
  return {
    operations,
    seconds: estimateSeconds({ kernels, operations, threads }),
    peakMemory: residentMemory({ model, threads, longest: longestOf(lengths), weights, buffers }),
  };
}
