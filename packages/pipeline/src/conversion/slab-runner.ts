import type { Service, Thread } from "@quern/threads";
import type { ConversionResult, ConversionTask } from "./task.ts";

/** What threads of a conversion do. */
export type SlabService = Service<ConversionTask, ConversionResult>;

/** Runs slabs, on this thread or on another one: up to `slabsInFlight` of the plan at the same time. */
export type SlabRunner = Thread<ConversionTask, ConversionResult>;

/** While the kernels work on a slab, another one is being read or written. */
const SLABS_IN_FLIGHT = 2;

/** A server that is far away takes longer to begin than the kernels need: enough slabs are on their way that these do not wait. */
const REMOTE_SLABS_IN_FLIGHT = 6;

/** Slabs above this make nothing faster. */
const LARGEST_SLAB = 4 * 2 ** 20;

/** Likewise, where Hessians are read for every slab anew. */
const LARGEST_SLAB_WITH_HESSIAN = 32 * 2 ** 20;

/** What says how large slabs are. */
interface SlabResources {
  readonly threads: number;
  /** Bytes for the buffers of all threads. */
  readonly memory: number;
}

/**
 * Slabs that a thread has in hand. Its buffers count this many times: those of a network are no more than have room at their full size.
 *
 * @param params.network Whether weights come over a network.
 */
export function slabsInFlight({ threads, memory, network }: SlabResources & { network: boolean }): number {
  if (!network) return SLABS_IN_FLIGHT;
  const room = Math.floor(memory / Math.max(threads, 1) / LARGEST_SLAB);
  return Math.min(Math.max(room, SLABS_IN_FLIGHT), REMOTE_SLABS_IN_FLIGHT);
}

/** @returns bytes of buffers for one slab, out of the memory that all runners share */
export function slabBytes(
  params: SlabResources & { readonly slabsInFlight: number; readonly hessians: boolean },
): number {
  const { memory, threads, slabsInFlight, hessians } = params;
  const largest = hessians ? LARGEST_SLAB_WITH_HESSIAN : LARGEST_SLAB;
  return Math.min(memory / Math.max(threads, 1) / slabsInFlight, largest);
}
