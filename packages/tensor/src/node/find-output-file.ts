import { type FileHandle, open, stat } from "node:fs/promises";
import { partialPathOf, reportingAs } from "./output-file.ts";

/**
 * Looks for a file as an interrupted run has left it: of the right size, and with its header.
 *
 * @param params.mayBePlaced Whether the run had begun to give files their final names.
 * @returns under which name it is, the final one where it has both; undefined where there is nothing to go on with
 * @throws QuernError `OUTPUT_NOT_WRITABLE`, `OUTPUT_WRITE_FAILED` when what is there cannot be read
 */
export async function findOutputFile(params: {
  readonly path: string;
  readonly size: number;
  readonly header: Uint8Array;
  readonly mayBePlaced: boolean;
}): Promise<"partial" | "placed" | undefined> {
  const { path, mayBePlaced } = params;
  const partialPath = partialPathOf(path);
  const partial = await identityOf(partialPath);
  const final = mayBePlaced ? await identityOf(path) : undefined;
  // A crash between giving a name and taking the other one leaves both.
  const isPlaced = final !== undefined && (partial === undefined || partial === final);
  if (!isPlaced && partial === undefined) return undefined;
  const fits = await isBegunAs({ ...params, name: isPlaced ? path : partialPath });
  if (!fits) return undefined;
  return isPlaced ? "placed" : "partial";
}

/** Of a regular file. */
async function identityOf(path: string): Promise<string | undefined> {
  const there = await stat(path, { bigint: true }).catch(() => undefined);
  return there?.isFile() === true ? `${there.dev}:${there.ino}` : undefined;
}

async function isBegunAs(params: {
  readonly name: string;
  readonly path: string;
  readonly size: number;
  readonly header: Uint8Array;
}): Promise<boolean> {
  const { name, path, size, header } = params;
  return reportingAs(path, async () => {
    const handle = await open(name, "r");
    try {
      if ((await handle.stat()).size !== size) return false;
      return await hasHeader(handle, header);
    } finally {
      await handle.close();
    }
  });
}

async function hasHeader(handle: FileHandle, header: Uint8Array): Promise<boolean> {
  const there = new Uint8Array(header.byteLength);
  let done = 0;
  while (done < there.byteLength) {
    const { bytesRead } = await handle.read(there, done, there.byteLength - done, done);
    if (bytesRead === 0) return false;
    done += bytesRead;
  }
  return Buffer.compare(there, header) === 0;
}
