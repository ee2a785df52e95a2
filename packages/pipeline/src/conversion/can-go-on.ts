import { QuernError } from "@quern/tensor";

/** Left: a whole error code, or with "*" at its end the beginning of one. */
const MENDABLE = [
  // The disk may have room again, the name may be free.
  "OUTPUT_*",
  "RESUME_*",
  "HUB_*",
  "QUEUE_*",
  "SOURCE_NOT_FOUND",
  "SOURCE_UNREADABLE",
  "SOURCE_READ_FAILED",
  "SOURCE_TRUNCATED",
  "WORKER_*",
];

/** Whether the same conversion may come to its end when it is tried again: not where weights are damaged or do not fit their types. */
export function canGoOn(error: unknown, signal: AbortSignal | undefined): boolean {
  if (signal?.aborted) return true;
  if (!(error instanceof QuernError)) return false;
  return MENDABLE.some((pattern) =>
    pattern.endsWith("*") ? error.code.startsWith(pattern.slice(0, -1)) : error.code === pattern,
  );
}
