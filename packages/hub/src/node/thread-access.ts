import { getEnvironmentData, setEnvironmentData } from "node:worker_threads";
import { type HubAccess, hubAccess } from "../access.ts";
import type { HubFileLocation } from "../hub-file.ts";

type Repository = Pick<HubFileLocation, "endpoint" | "id">;

/**
 * Lets this thread, and all that it starts from now on, read a repository with this access. The token reaches them beside the data that
 * they are started with, which may be logged or sent elsewhere.
 */
export function shareAccess(repository: Repository, access: HubAccess): void {
  setEnvironmentData(keyOf(repository), access.token ?? "");
}

/** The access that was shared for a repository; without a token when none was. */
export function sharedAccess(repository: Repository): HubAccess {
  const token = getEnvironmentData(keyOf(repository));
  return hubAccess({
    endpoint: repository.endpoint,
    ...(typeof token === "string" ? { token } : {}),
  });
}

function keyOf({ endpoint, id }: Repository): string {
  return `@quern/hub token of ${endpoint}/${id}`;
}
