import { type FileHandle, open } from "node:fs/promises";
import { performance } from "node:perf_hooks";
import type { CheckpointShard } from "@quern/checkpoints";
import { type KernelBackend, loadKernels } from "@quern/kernels";
import { LaneBuffers } from "../conversion/lane-buffers.ts";
import { processSlab } from "../conversion/process-slab.ts";
import type { SlabRunner } from "../conversion/slab-runner.ts";
import { partialPathOf, reportingAs, writeAt } from "./output-file.ts";
import { ShardReader } from "./shard-reader.ts";

/** What a thread needs to know to run slabs. Plain data. */
export interface SlabServiceOptions {
  readonly shards: readonly CheckpointShard[];
  /** Final paths of the outputs, in the order of the plan; their partial files exist. */
  readonly outputs: readonly string[];
  /** @default the best that loads */
  readonly backend?: KernelBackend;
}

/** Runs slabs on the thread that it is created on, with its own kernels and its own open files. */
export async function createSlabService(options: SlabServiceOptions): Promise<SlabRunner> {
  const kernels = await loadKernels(options.backend === undefined ? {} : { backend: options.backend });
  const shards = new ShardReader(options.shards);
  const handles: FileHandle[] = [];
  const lanes: LaneBuffers[] = [];
  const running = new Set<Promise<unknown>>();
  const close = async (): Promise<void> => {
    await Promise.allSettled(running);
    await Promise.all([shards.close(), ...handles.map((handle) => handle.close())]);
  };
  try {
    for (const path of options.outputs) {
      handles.push(await reportingAs(path, () => open(partialPathOf(path), "r+")));
    }
  } catch (error) {
    await close();
    throw error;
  }
  const idleBefore = performance.eventLoopUtilization().idle;
  return {
    kernels: `${kernels.info.backend} ${kernels.info.isa}`,
    idleTime: () => performance.eventLoopUtilization().idle - idleBefore,
    async run(slab, lane) {
      const buffers = (lanes[lane] ??= new LaneBuffers());
      const result = processSlab({
        slab,
        reader: shards.reading({ tensors: slab.sources, buffer: (size) => buffers.takeRead(size) }),
        kernels,
        buffers,
        write: (output, bytes, offset) =>
          writeAt({ handle: handles[output]!, path: options.outputs[output]!, bytes, offset }),
      });
      running.add(result);
      try {
        return await result;
      } finally {
        running.delete(result);
        buffers.releaseReads();
      }
    },
    close,
  };
}
