import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { QuernError } from "@quern/tensor";
import type { SlabResult } from "../conversion/slab.ts";
import type { SlabRunner } from "../conversion/slab-runner.ts";
import type { SlabServiceOptions } from "./slab-service.ts";
import { fromPlainError, type SlabRequest, type WorkerMessage } from "./worker-messages.ts";

interface PendingSlab {
  readonly resolve: (result: SlabResult) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Starts a thread that runs slabs.
 *
 * A pool library would add nothing here: what to run next is decided by `runSlabs`, jobs are told apart by their id, every
 * thread is alike and lives as long as the conversion.
 *
 * @throws QuernError `WORKER_FAILED`, and what `createSlabService` throws in the thread
 */
export async function startWorker(options: SlabServiceOptions): Promise<SlabRunner> {
  const worker = new Worker(workerFile(), {
    workerData: options,
    // The worker is compiled code, whatever loaders and conditions this process runs its sources with.
    execArgv: [],
    // Slabs live outside the heap, and what a worker allocates on it is small: this saves 15 MB a thread.
    resourceLimits: { maxYoungGenerationSizeMb: 4 },
  });
  const pending = new Map<number, PendingSlab>();
  let lost: QuernError | undefined;
  let nextId = 0;

  const kernels = await new Promise<string>((resolve, reject) => {
    const lose = (message: string, cause?: unknown): void => {
      lost ??= new QuernError("WORKER_FAILED", message, { cause });
      reject(lost);
      for (const slab of pending.values()) slab.reject(lost);
      pending.clear();
    };
    worker.on("error", (cause) => lose(`A worker thread failed: ${cause.message}`, cause));
    worker.on("exit", (code) => lose(`A worker thread ended with exit code ${code}`));
    worker.on("message", (message: WorkerMessage) => {
      if (message.type === "ready") return resolve(message.kernels);
      if (message.type === "failed") return reject(fromPlainError(message.error));
      const slab = pending.get(message.id);
      pending.delete(message.id);
      if (message.type === "done") slab?.resolve(message.result);
      else slab?.reject(fromPlainError(message.error));
    });
  }).catch(async (error: unknown) => {
    await worker.terminate();
    throw error;
  });

  const { idle: idleBefore } = worker.performance.eventLoopUtilization();
  return {
    kernels,
    idleTime: () => worker.performance.eventLoopUtilization().idle - idleBefore,
    run(slab, lane) {
      if (lost !== undefined) return Promise.reject(lost);
      return new Promise((resolve, reject) => {
        const request: SlabRequest = { id: nextId++, slab, lane };
        pending.set(request.id, { resolve, reject });
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
        worker.postMessage(request);
      });
    },
    async close() {
      await worker.terminate();
    },
  };
}

/** Node 20 runs no TypeScript in workers: code that runs from its sources uses the compiled worker of the same package. */
function workerFile(): URL {
  const fromSource = import.meta.url.endsWith(".ts");
  const file = new URL(fromSource ? "../../dist/node/worker.js" : "./worker.js", import.meta.url);
  if (existsSync(file)) return file;
  throw new QuernError(
    "WORKER_MISSING",
    `${fileURLToPath(file)} is missing: build the package first, or use threads: 0`,
    {
      subject: { file: fileURLToPath(file) },
    },
  );
}
