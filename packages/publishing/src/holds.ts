import type { HubRepository } from "@quern/hub";
import type { HashedFile } from "./journal-entries.ts";

/** Whether a repository has files, by size and hash. */
export function holds(
  repository: Pick<HubRepository, "files"> | undefined,
  files: readonly HashedFile[],
): boolean {
  return files.every(({ path, bytes, sha256, gitHash }) => {
    const there = repository?.files.get(path);
    return there?.size === bytes && [sha256, gitHash].includes(there.etag);
  });
}
