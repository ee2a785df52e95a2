import { totalmem } from "node:os";
import { QuernError } from "@quern/tensor";
import { slabBytes, SLABS_IN_FLIGHT } from "../conversion/slab-runner.ts";

/** Buffers beyond this make nothing faster: slabs of some megabytes keep disk and kernels busy. */
const LARGEST_DEFAULT = 256 * 2 ** 20;

/** @returns bytes for buffers, all workers together */
export function resolveMemory(memory: number | undefined): number {
  if (memory === undefined) return Math.min(Math.floor(totalmem() / 4), LARGEST_DEFAULT);
  if (Number.isSafeInteger(memory) && memory > 0) return memory;
  throw new QuernError("PLAN_MEMORY", `memory: ${memory} is not a number of bytes above 0`, {
    subject: { key: "memory" },
  });
}

/**
 * Resident memory of Node with this package loaded and a model described, and of each further thread with its kernels: as
 * measured (Node 20 on Linux x64, native kernels), rounded up.
 */
const PROCESS_BYTES = 110 * 2 ** 20;
const THREAD_BYTES = 32 * 2 ** 20;

/** @returns estimated peak of the process's resident memory in bytes */
export function estimatePeakMemory(resources: {
  threads: number;
  memory: number;
  hessians: boolean;
}): number {
  const { threads } = resources;
  const buffers = Math.max(threads, 1) * SLABS_IN_FLIGHT * slabBytes(resources);
  return PROCESS_BYTES + threads * THREAD_BYTES + buffers;
}
