import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { QuernError } from "@quern/tensor";
import type { PublicationItem } from "../plan.ts";

/**
 * Divides what is to be made among passes over the weights. One pass reads them once, which counts where they come over the network. One
 * for each item lets it be uploaded while the next is made, and needs room for few at a time where files go once they are uploaded.
 *
 * @throws QuernError `OUTPUT_NO_SPACE` when there is not room for all, and files are to stay
 */
export async function planGroups(params: {
  readonly items: readonly PublicationItem[];
  readonly directory: string;
  readonly networkBytes: number;
  /** Of what is on the same disk meanwhile. */
  readonly scratchBytes: number;
  readonly deletesLocal: boolean;
  readonly oneByOne: boolean;
}): Promise<readonly (readonly PublicationItem[])[]> {
  const { items, directory, networkBytes, scratchBytes, deletesLocal, oneByOne } = params;
  const needed = items.reduce((sum, { bytes }) => sum + bytes, 0);
  const free = (await freeBytes(directory)) - scratchBytes;
  if (needed > free && !deletesLocal) {
    throw new QuernError(
      "OUTPUT_NO_SPACE",
      `${directory}: the files take ${needed} bytes, and ${free} are free on this disk. With --delete-local each is removed once it is uploaded, which takes ${Math.max(...items.map(({ bytes }) => bytes))}.`,
      { subject: { file: directory } },
    );
  }
  const single = oneByOne || needed > free || networkBytes === 0;
  return single ? items.map((item) => [item]) : items.length === 0 ? [] : [items];
}

/** Of the disk on which a folder is, or will be. */
export async function freeBytes(folder: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" && dirname(folder) !== folder) return freeBytes(dirname(folder));
    throw new QuernError("OUTPUT_NOT_WRITABLE", `${folder}: the folder cannot be used`, {
      subject: { file: folder },
      cause: error,
    });
  }
}
