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

/**
 * Whether the same conversion may come to its end when it is tried again: not where weights are damaged or do not fit their types, nor where
 * the system could not bring a file to disk. What it then gives to readers is not what the disk has (fsync(2)): there is nothing to go on with.
 */
export function canGoOn(error: unknown, signal: AbortSignal | undefined): boolean {
  if (isUnkept(error)) return false;
  if (signal?.aborted) return true;
  if (!(error instanceof QuernError)) return false;
  return MENDABLE.some((pattern) =>
    pattern.endsWith("*") ? error.code.startsWith(pattern.slice(0, -1)) : error.code === pattern,
  );
}

function isUnkept(error: unknown): boolean {
  const cause = error instanceof Error ? (error.cause as NodeJS.ErrnoException | undefined) : undefined;
  return cause?.syscall === "fsync";
}
