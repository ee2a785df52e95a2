import type { CheckpointShard } from "@quern/checkpoints";
import { ShardReader } from "@quern/checkpoints/node/shards";
import { type KernelBackend, loadKernels } from "@quern/kernels";
import { LaneBuffers } from "../conversion/lane-buffers.ts";
import { partialPathOf } from "@quern/tensor/node";
import { processSlab } from "../conversion/process-slab.ts";
import type { SlabService } from "../conversion/slab-runner.ts";
import { FileWriter, type WrittenFile } from "./file-writer.ts";

/** What a thread needs to know to run slabs. Plain data. */
export interface SlabServiceOptions {
  readonly shards: readonly CheckpointShard[];
  /** Files of all outputs, in the order of the plan: they exist, under the final path or as partial files. */
  readonly files: readonly { readonly path: string; readonly isPlaced: boolean }[];
  /** Path of the statistics file whose Hessians slabs name. */
  readonly statistics?: string;
  /** @default the best that loads */
  readonly backend?: KernelBackend;
}

/** Runs slabs on the thread that it is created on, with its own kernels and its own open files. */
export async function createService(options: SlabServiceOptions): Promise<SlabService> {
  const kernels = await loadKernels(options.backend === undefined ? {} : { backend: options.backend });
  const shards = new ShardReader(options.shards);
  const writer = new FileWriter(options.files.map(nameOf));
  // Most conversions need none: what reads them is not loaded then.
  const hessians =
    options.statistics === undefined
      ? undefined
      : await (await import("./hessian-file.ts")).openHessianFile(options.statistics);
  const lanes: LaneBuffers[] = [];
  const running = new Set<Promise<unknown>>();
  const close = async (): Promise<void> => {
    // What is still being read is not waited for: a server may be slow.
    await shards.close();
    await Promise.allSettled(running);
    await Promise.all([writer.close(), hessians?.close()]);
  };
  return {
    description: `${kernels.info.backend} ${kernels.info.isa}`,
    async run(task, lane) {
      if (task.kind === "checksum") {
        return { kind: "checksum", crc32: await writer.checksum(task.file, task.offset, task.size) };
      }
      const { slab } = task;
      const buffers = (lanes[lane] ??= new LaneBuffers());
      const result = processSlab({
        slab,
        reader: shards.reading({ tensors: slab.sources, buffer: (size) => buffers.takeRead(size) }),
        kernels,
        buffers,
        write: (file, bytes, offset) => writer.write(file, bytes, offset),
        ...(hessians && { readHessian: (request) => hessians.readRows(request) }),
      });
      running.add(result);
      try {
        return { kind: "slab", done: await result };
      } finally {
        running.delete(result);
        buffers.releaseReads();
      }
    },
    close,
  };
}

/** A file, and what it is called now. */
function nameOf({ path, isPlaced }: SlabServiceOptions["files"][number]): WrittenFile {
  return { path, name: isPlaced ? path : partialPathOf(path) };
}
