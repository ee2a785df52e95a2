import { availableParallelism } from "node:os";
import { QuernError } from "@quern/tensor";

const MOST_THREADS = 1024;

/**
 * @param threads Default: as many as the machine runs at once.
 * @returns worker threads; 0 is the calling thread
 * @throws QuernError `PLAN_THREADS`
 */
export function resolveThreads(threads: number | undefined): number {
  if (threads === undefined) return availableParallelism();
  if (Number.isSafeInteger(threads) && threads >= 0 && threads <= MOST_THREADS) return threads;
  throw new QuernError(
    "PLAN_THREADS",
    `threads: ${threads} is not a whole number from 0 to ${MOST_THREADS}`,
    { subject: { key: "threads" } },
  );
}
