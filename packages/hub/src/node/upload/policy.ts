import type { RetryPolicy } from "@quern/tensor";
import type { HubPatience } from "../../hub-file.ts";

/** A commit of large files may take the Hub a minute. */
const STALL_TIMEOUT = 180_000;

/** How patient writing is: as reading, with more time for an answer. */
export function writePolicy(
  patience: HubPatience = {},
  signal: AbortSignal | undefined,
): { readonly policy: RetryPolicy; readonly stallTimeout: number } {
  const { retries = 6, retryDelay = 500, stallTimeout = STALL_TIMEOUT } = patience;
  return { policy: { retries, retryDelay, signal }, stallTimeout };
}
