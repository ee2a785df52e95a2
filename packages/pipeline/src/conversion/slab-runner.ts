import type { Slab, SlabResult } from "./slab.ts";

/** Runs slabs, on this thread or on another one. */
export interface SlabRunner {
  /** Kernels that it uses: "native avx512". */
  readonly kernels: string;
  /** Up to {@link SLABS_IN_FLIGHT} may run at the same time, each with its own `lane`. */
  run(slab: Slab, lane: number): Promise<SlabResult>;
  /** Milliseconds that the thread has had nothing to do since the runner was made. */
  idleTime(): number;
  /** Frees everything; slabs in hand are finished first or given up. */
  close(): Promise<void>;
}

/**
 * Slabs that a runner has in hand: while the kernels work on one, the other is being read or written. Its buffers count
 * this many times.
 */
export const SLABS_IN_FLIGHT = 2;

/** Slabs above this make nothing faster. */
const LARGEST_SLAB = 4 * 2 ** 20;

/** @returns bytes of buffers for one slab, out of the memory that all runners share */
export function slabBytes({ memory, threads }: { memory: number; threads: number }): number {
  return Math.min(memory / Math.max(threads, 1) / SLABS_IN_FLIGHT, LARGEST_SLAB);
}
