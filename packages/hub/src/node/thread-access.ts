import { getEnvironmentData, setEnvironmentData } from "node:worker_threads";
import { type HubAccess, hubAccess } from "../access.ts";
import type { HubFileLocation, HubPatience } from "../hub-file.ts";
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
type Shared = Omit<HubReading, "access"> & { readonly token?: string };

/**
 * Lets this thread, and all that it starts from now on, read a repository in this way. The token reaches them beside the data that
 * they are started with, which may be logged or sent elsewhere.
 */
export function shareReading(repository: Repository, { access, cache, patience }: HubReading): void {
  const shared: Shared = {
    ...(access.token === undefined ? {} : { token: access.token }),
    ...(cache && { cache }),
    ...(patience && { patience }),
  };
  setEnvironmentData(keyOf(repository), shared);
}

/** The way that was shared for a repository; without a token and a cache when none was. */
export function sharedReading(repository: Repository): HubReading {
  const { token, ...reading } = (getEnvironmentData(keyOf(repository)) ?? {}) as unknown as Shared;
  return { access: hubAccess({ endpoint: repository.endpoint, token }), ...reading };
}

function keyOf({ endpoint, id }: Repository): string {
  return `@quern/hub reading of ${endpoint}/${id}`;
}
