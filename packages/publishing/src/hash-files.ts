import { hashFile } from "@quern/hub/upload";
import type { HashedLocalFile, LocalFile } from "./plan.ts";

/** Reads files through, one after another. */
export async function hashFiles(
  files: readonly LocalFile[],
  signal: AbortSignal,
): Promise<readonly HashedLocalFile[]> {
  const hashed: HashedLocalFile[] = [];
  for (const file of files) hashed.push({ ...file, ...(await hashFile(file.local, signal)) });
  return hashed;
}
