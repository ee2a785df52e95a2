import type { Service, Thread } from "@quern/threads";
import type { ConversionResult, ConversionTask } from "./task.ts";

/** What threads of a conversion do. */
export type SlabService = Service<ConversionTask, ConversionResult>;

/** Runs slabs, on this thread or on another one: up to {@link SLABS_IN_FLIGHT} at the same time. */
export type SlabRunner = Thread<ConversionTask, ConversionResult>;

/**
 * Slabs that a runner has in hand: while the kernels work on one, the other is being read or written. Its buffers count
 * this many times.
 */
export const SLABS_IN_FLIGHT = 2;

/** Slabs above this make nothing faster. */
const LARGEST_SLAB = 4 * 2 ** 20;

/** Likewise, where Hessians are read for every slab anew. */
const LARGEST_SLAB_WITH_HESSIAN = 32 * 2 ** 20;

/** @returns bytes of buffers for one slab, out of the memory that all runners share */
export function slabBytes(params: { memory: number; threads: number; hessians: boolean }): number {
  const { memory, threads, hessians } = params;
  const largest = hessians ? LARGEST_SLAB_WITH_HESSIAN : LARGEST_SLAB;
  return Math.min(memory / Math.max(threads, 1) / SLABS_IN_FLIGHT, largest);
}
