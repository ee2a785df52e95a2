import type { SlabRunner } from "../conversion/slab-runner.ts";
import { createSlabService, type SlabServiceOptions } from "./slab-service.ts";
import { startWorker } from "./worker-runner.ts";

/**
 * Starts as many worker threads, or one runner on this thread for 0.
 *
 * @throws what the first that fails throws; the others are closed
 */
export async function startRunners(threads: number, options: SlabServiceOptions): Promise<SlabRunner[]> {
  if (threads === 0) return [await createSlabService(options)];
  const started = await Promise.allSettled(Array.from({ length: threads }, () => startWorker(options)));
  const runners = started.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const failed = started.find((result) => result.status === "rejected");
  if (failed === undefined) return runners;
  await closeRunners(runners);
  throw failed.reason;
}

export async function closeRunners(runners: readonly SlabRunner[]): Promise<void> {
  await Promise.all(runners.map((runner) => runner.close()));
}
