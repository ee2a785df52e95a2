import { realpath, stat } from "node:fs/promises";
import { basename } from "node:path";
import type { HubFileLocation } from "../hub-file.ts";
import { type HubCache, RepositoryCache } from "./cache-layout.ts";

/**
 * Finds a file that is complete in the shared cache: a link in the snapshot of its commit that leads to a blob which is called by its
 * hash. Blobs get that name once they are complete.
 *
 * @returns path of the blob
 */
export async function findCachedFile(params: {
  readonly cache: Pick<HubCache, "folder">;
  readonly location: HubFileLocation;
}): Promise<string | undefined> {
  const { cache, location } = params;
  const { commit, path, size, etag } = location;
  try {
    const target = await realpath(new RepositoryCache(cache, location).link(commit, path));
    const stats = await stat(target);
    return basename(target) === etag && stats.isFile() && stats.size === size ? target : undefined;
  } catch {
    return undefined;
  }
}
