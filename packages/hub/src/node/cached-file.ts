import { realpath, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import type { HubFileLocation } from "../hub-file.ts";

/**
 * Finds a file that another tool has downloaded into the shared cache already: `models--<owner>--<name>/snapshots/<commit>/<path>`, a link
 * to a blob that is called by its hash (huggingface_hub, docs/source/en/guides/manage-cache.md). Files get that name once they are
 * complete.
 *
 * @param params.folder That of the cache.
 * @returns path of the blob
 */
export async function findCachedFile(params: {
  readonly folder: string;
  readonly location: HubFileLocation;
}): Promise<string | undefined> {
  const { folder, location } = params;
  const { id, commit, path, size, etag } = location;
  const link = join(folder, `models--${id.replaceAll("/", "--")}`, "snapshots", commit, path);
  try {
    const target = await realpath(link);
    const stats = await stat(target);
    return basename(target) === etag && stats.isFile() && stats.size === size ? target : undefined;
  } catch {
    return undefined;
  }
}
