import type { RetryPolicy, RetryWait } from "@quern/tensor";

/** A request has failed, and will be made again after a wait. */
export interface NetworkWaitEvent extends RetryWait {
  readonly type: "network:wait";
  /** What is read or written: "hf:org/name/model.safetensors", or "hf:org/name". */
  readonly file: string;
}

/** How patient reading and writing are, and who is told. Plain data but for `onWait`. */
export interface HubPatience {
  /** As in `httpRangeSource`. @default 6 */
  readonly retries?: number;
  /** As in `httpRangeSource`. @default 500 */
  readonly retryDelay?: number;
  /** As in `httpRangeSource`. @default 30000 */
  readonly stallTimeout?: number;
  /** Called before each wait, whichever thread waits. Tokens and addresses are no part of events. */
  readonly onWait?: (event: NetworkWaitEvent) => void;
}

/** @param file What events call that which is read or written. */
export function retryPolicy(
  { retries = 6, retryDelay = 500, onWait }: HubPatience,
  file: string,
  signal: AbortSignal | undefined,
): RetryPolicy {
  return {
    retries,
    retryDelay,
    signal,
    ...(onWait && { onWait: (wait) => onWait({ type: "network:wait", file, ...wait }) }),
  };
}
