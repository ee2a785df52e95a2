import type { RetryPolicy } from "@quern/tensor";
import { type HubPatience, retryPolicy } from "../../patience.ts";

/** A commit of large files may take the Hub a minute. */
const STALL_TIMEOUT = 180_000;

/** How patient writing to a repository is: as reading, with more time for an answer. */
export function writePolicy(
  id: string,
  patience: HubPatience = {},
  signal: AbortSignal | undefined,
): { readonly policy: RetryPolicy; readonly stallTimeout: number } {
  const { stallTimeout = STALL_TIMEOUT } = patience;
  return { policy: retryPolicy(patience, `hf:${id}`, signal), stallTimeout };
}
