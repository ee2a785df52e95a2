import { BroadcastChannel, getEnvironmentData, setEnvironmentData, threadId } from "node:worker_threads";
import { type HubAccess, hubAccess } from "../access.ts";
import type { HubFileLocation } from "../hub-file.ts";
import type { HubPatience, NetworkWaitEvent } from "../patience.ts";
import type { HubCache } from "./cache-layout.ts";

type Repository = Pick<HubFileLocation, "endpoint" | "id">;

/** How a repository is read. */
export interface HubReading {
  readonly access: HubAccess;
  /** Default: none. */
  readonly cache?: HubCache;
  readonly patience?: HubPatience;
}

/** What {@link HubReading} is on its way to other threads. */
type Shared = {
  readonly token?: string;
  readonly cache?: HubCache;
  readonly patience?: Omit<HubPatience, "onWait">;
  /** Name of the channel to whoever is told of waits. */
  readonly waits?: string;
};

/** Those that listen for waits of a repository. */
const listening = new Map<string, BroadcastChannel>();

/**
 * Lets this thread, and all that it starts from now on, read a repository in this way. The token reaches them beside the data that
 * they are started with, which may be logged or sent elsewhere; what they wait for comes back to `onWait` here.
 */
export function shareReading(repository: Repository, { access, cache, patience = {} }: HubReading): void {
  const { onWait, ...plain } = patience;
  const key = keyOf(repository);
  listening.get(key)?.close();
  listening.delete(key);
  // Channels reach all threads of the process.
  const waits = `${key} by thread ${threadId}`;
  if (onWait !== undefined) listening.set(key, listen(waits, onWait));
  const shared: Shared = {
    ...(access.token === undefined ? {} : { token: access.token }),
    ...(cache && { cache }),
    patience: plain,
    ...(onWait && { waits }),
  };
  setEnvironmentData(key, shared);
}

/** The way that was shared for a repository; without a token and a cache when none was. */
export function sharedReading(repository: Repository): HubReading {
  const shared = (getEnvironmentData(keyOf(repository)) ?? {}) as unknown as Shared;
  const { token, patience, waits, ...reading } = shared;
  return {
    access: hubAccess({ endpoint: repository.endpoint, token }),
    patience: { ...patience, ...(waits !== undefined && { onWait: (event) => tell(waits, event) }) },
    ...reading,
  };
}

function listen(name: string, onWait: (event: NetworkWaitEvent) => void): BroadcastChannel {
  const channel = new BroadcastChannel(name);
  channel.addEventListener("message", (message) => onWait((message as MessageEvent<NetworkWaitEvent>).data));
  // Nothing waits for waits.
  channel.unref();
  return channel;
}

function tell(name: string, event: NetworkWaitEvent): void {
  const channel = new BroadcastChannel(name);
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  channel.postMessage(event);
  channel.close();
}

function keyOf({ endpoint, id }: Repository): string {
  return `@quern/hub reading of ${endpoint}/${id}`;
}
