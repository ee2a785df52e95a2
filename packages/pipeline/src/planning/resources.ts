import { processMemory, resolveMemory } from "@quern/threads";
import { slabBytes } from "../conversion/slab-runner.ts";

/** Buffers beyond this make nothing faster: slabs of some megabytes keep disk and kernels busy. */
const LARGEST_DEFAULT = 256 * 2 ** 20;

/** @returns bytes for buffers, all workers together */
export function memoryBudget(memory: number | undefined): number {
  return resolveMemory({ memory, most: LARGEST_DEFAULT, code: "PLAN_MEMORY" });
}

/**
 * Resident memory of Node with this package loaded and a model described, and of each further thread with its kernels: as
 * measured (Node 20 on Linux x64, native kernels), rounded up.
 */
const PROCESS_BYTES = 110 * 2 ** 20;
const THREAD_BYTES = 32 * 2 ** 20;

/**
 * More of both where weights come over a network: what lists repositories and reads their files, and connections. What is read comes into
 * the buffers of slabs.
 */
const NETWORK_BYTES = 28 * 2 ** 20;
const NETWORK_THREAD_BYTES = 2 * 2 ** 20;

/** Memory of connections beside what is read. @param resources.network Whether weights come over a network. */
export function connectionBytes({ threads, network }: { threads: number; network: boolean }): number {
  return network ? NETWORK_BYTES + threads * NETWORK_THREAD_BYTES : 0;
}

/**
 * @param resources.network Whether weights come over a network.
 * @returns estimated peak of the process's resident memory in bytes
 */
export function estimatePeakMemory(resources: {
  threads: number;
  memory: number;
  slabsInFlight: number;
  hessians: boolean;
  network: boolean;
}): number {
  const { threads, slabsInFlight } = resources;
  const buffers = Math.max(threads, 1) * slabsInFlight * slabBytes(resources);
  return processMemory(PROCESS_BYTES) + threads * THREAD_BYTES + buffers + connectionBytes(resources);
}
