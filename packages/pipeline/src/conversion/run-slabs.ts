import type { Slab, SlabResult } from "./slab.ts";
import { SLABS_IN_FLIGHT, type SlabRunner } from "./slab-runner.ts";

/**
 * Runs every slab on some runner: each takes the next one as soon as it has room, so that all stay busy until the end.
 *
 * @param params.signal Ends the run with the reason of the signal; slabs in hand are not waited for.
 * @throws the first error of a runner; slabs in hand are not waited for
 */
export async function runSlabs(params: {
  slabs: AsyncIterable<Slab>;
  runners: readonly SlabRunner[];
  signal: AbortSignal;
  onStart: (slab: Slab) => void;
  onDone: (slab: Slab, result: SlabResult) => void;
}): Promise<void> {
  const { runners, signal, onStart, onDone } = params;
  const slabs = params.slabs[Symbol.asyncIterator]();
  const over = new AbortController();

  const runLane = async (runner: SlabRunner, lane: number): Promise<void> => {
    while (!over.signal.aborted) {
      const { value: slab, done } = await slabs.next();
      if (done === true || over.signal.aborted) return;
      onStart(slab);
      const result = await runner.run(slab, lane);
      if (!over.signal.aborted) onDone(slab, result);
    }
  };

  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { signal: over.signal });
  });
  try {
    signal.throwIfAborted();
    const lanes = runners.flatMap((runner) =>
      Array.from({ length: SLABS_IN_FLIGHT }, (_, lane) => runLane(runner, lane)),
    );
    await Promise.race([Promise.all(lanes), aborted]);
  } finally {
    over.abort();
  }
}
