import type { CheckpointShard } from "@quern/checkpoints";
import { ShardReader } from "@quern/checkpoints/node/shards";
import { type KernelBackend, loadKernels } from "@quern/kernels";
import type { Service } from "@quern/threads";
import { LaneBuffers } from "../conversion/lane-buffers.ts";
import { processSlab } from "../conversion/process-slab.ts";
import type { Slab } from "../conversion/slab.ts";
import { FileComparer } from "./file-comparer.ts";

/** What a thread needs to know to make slabs and compare them. Plain data. */
export interface CompareServiceOptions {
  readonly shards: readonly CheckpointShard[];
  /** Paths of the files that slabs are compared with. */
  readonly files: readonly string[];
  /** @default the best that loads */
  readonly backend?: KernelBackend;
}

/** Where in which file the first byte of a slab that differs lies. */
export interface SlabDifference {
  readonly file: number;
  readonly offset: number;
}

/** Makes slabs as a conversion does, and compares them with files instead of writing them. */
export async function createService(
  options: CompareServiceOptions,
): Promise<Service<Slab, readonly SlabDifference[]>> {
  const kernels = await loadKernels(options.backend === undefined ? {} : { backend: options.backend });
  const shards = new ShardReader(options.shards);
  const comparer = new FileComparer(options.files);
  const lanes: LaneBuffers[] = [];
  const running = new Set<Promise<unknown>>();
  return {
    description: `${kernels.info.backend} ${kernels.info.isa}`,
    async run(slab, lane) {
      const buffers = (lanes[lane] ??= new LaneBuffers());
      const differences: SlabDifference[] = [];
      const result = processSlab({
        slab,
        reader: shards.reading({ tensors: slab.sources, buffer: (size) => buffers.takeRead(size) }),
        kernels,
        buffers,
        async write(file, bytes, at) {
          const offset = await comparer.differenceAt(file, bytes, at);
          if (offset !== undefined) differences.push({ file, offset });
        },
      });
      running.add(result);
      try {
        await result;
        return differences;
      } finally {
        running.delete(result);
        buffers.releaseReads();
      }
    },
    async close() {
      // What is still being read is not waited for: a server may be slow.
      await shards.close();
      await Promise.allSettled(running);
      await comparer.close();
    },
  };
}
