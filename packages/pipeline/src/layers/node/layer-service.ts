import type { CheckpointShard } from "@quern/checkpoints";
import { ShardReader } from "@quern/checkpoints/node/shards";
import { type KernelBackend, loadKernels } from "@quern/kernels";
import { sha256Of } from "@quern/tensor/node";
import type { Service } from "@quern/threads";
import { FileWriter, type WrittenFile } from "../../node/file-writer.ts";
import { changeInputs } from "../tasks/change-inputs.ts";
import { copyRows } from "../tasks/copy-rows.ts";
import { evaluateWeights } from "../tasks/evaluate-weights.ts";
import { largest } from "../tasks/largest.ts";
import { pack } from "../tasks/pack-layer.ts";
import { prepare } from "../tasks/prepare.ts";
import { readBlocks } from "../tasks/read-blocks.ts";
import { readElements, readLayer } from "../tasks/read-back.ts";
import { roundBlocks } from "../tasks/round-blocks.ts";
import { roundRows } from "../tasks/round-rows.ts";
import type { LayerResult, LayerTask } from "../tasks/task.ts";
import type { ReadBytes, WriteBytes } from "../tasks/target.ts";
import { type OpenReader, readWeights } from "../tasks/weights.ts";

/** What a thread needs to know to work on layers. Plain data. */
export interface LayerServiceOptions {
  readonly shards: readonly CheckpointShard[];
  /** Files that are written, all of which are there. */
  readonly files: readonly WrittenFile[];
  /** Whether what would be written is compared with what is there instead; what differs is thrown. @default false */
  readonly compares?: boolean;
  /** @default the best that loads */
  readonly backend?: KernelBackend;
}

/** Works on layers on the thread that it is created on, with its own kernels and its own open files. */
export async function createService(options: LayerServiceOptions): Promise<Service<LayerTask, LayerResult>> {
  const kernels = await loadKernels(options.backend === undefined ? {} : { backend: options.backend });
  const shards = new ShardReader(options.shards);
  const files = options.compares === true ? await comparing(options.files) : writing(options.files);
  const open: OpenReader = (tensors) => shards.reading({ tensors, buffer: (size) => new Uint8Array(size) });
  const { write, read } = files;
  const running = new Set<Promise<unknown>>();
  const start = async (task: LayerTask): Promise<LayerResult> => {
    switch (task.kind) {
      case "read":
        return readWeights(task.weights, { firstRow: 0, rows: task.weights.rows }, open);
      // What computes models is loaded for the few threads that do.
      case "choose-factors":
        return (await import("../tasks/choose-factors.ts")).chooseColumnFactors(task, kernels, open);
      case "change-inputs":
        return changeInputs(task);
      case "evaluate":
        return evaluateWeights(task, open);
      case "compare-block":
        return (await import("../tasks/compare-block.ts")).compareBlock(task, kernels, open);
      case "prepare":
        return prepare(task, kernels);
      case "largest":
        return largest(task, open);
      case "round-rows":
        return roundRows(task, kernels, open);
      case "round-blocks":
        return roundBlocks(task, kernels, open);
      case "read-blocks":
        return readBlocks(task, kernels, read);
      case "pack":
        return pack(task, write);
      case "hash":
        return files.hash(task.target.file, task.target.offset, task.size);
      case "read-layer":
        return readLayer(task, read);
      case "read-elements":
        return readElements(task, read);
      default:
        return copyRows(task, open, write);
    }
  };
  return {
    description: `${kernels.info.backend} ${kernels.info.isa}`,
    async run(task) {
      const result = start(task);
      running.add(result);
      try {
        return await result;
      } finally {
        running.delete(result);
      }
    },
    async close() {
      // What is still being read is not waited for: a server may be slow.
      await shards.close();
      await Promise.allSettled(running);
      await files.close();
    },
  };
}

/** Where finished bytes go, and are read back. */
interface Files {
  readonly write: WriteBytes;
  readonly read: ReadBytes;
  hash(file: number, offset: number, size: number): Promise<string>;
  close(): Promise<void>;
}

function writing(files: readonly WrittenFile[]): Files {
  const writer = new FileWriter(files);
  return {
    write: (file, bytes, offset) => writer.write(file, bytes, offset),
    read: (file, offset, size) => writer.read(file, offset, size),
    hash: (file, offset, size) => writer.hash(file, offset, size),
    close: () => writer.close(),
  };
}

/** Most threads write: what compares is not loaded then. */
async function comparing(files: readonly WrittenFile[]): Promise<Files> {
  const { FileComparer } = await import("../../verification/file-comparer.ts");
  const comparer = new FileComparer(files.map(({ name }) => name));
  const read: ReadBytes = (file, offset, size) => comparer.read(file, offset, size);
  return {
    write: (file, bytes, offset) => comparer.expectEqual(file, bytes, offset),
    read,
    hash: async (...range) => sha256Of(await read(...range)),
    close: () => comparer.close(),
  };
}
