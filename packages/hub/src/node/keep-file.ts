import { createHash, type Hash } from "node:crypto";
import { type FileHandle, lstat, mkdir, open, readlink, rename, rm, stat, symlink } from "node:fs/promises";
import { dirname, relative } from "node:path";
import { QuernError } from "@quern/tensor";
import type { HubAccess } from "../access.ts";
import { hubFileName, type HubFileLocation, openHubFile } from "../hub-file.ts";
import type { HubPatience } from "../patience.ts";
import { type HubCache, RepositoryCache } from "./cache-layout.ts";
import { withFileLock } from "./file-lock.ts";
import { sendByNode } from "./send-by-node.ts";

/** Bytes that are asked for, hashed and written at a time: as many requests as run at the same time, and twice that in memory. */
const CHUNK = 16 * 2 ** 20;

/**
 * Brings a file whole into the cache, unless it is there, and checks its hash.
 *
 * While it comes it is `blobs/<hash>.incomplete`, always a beginning of the file: whoever comes next goes on behind it, if it is of
 * the version that is wanted. It gets its name when it is complete and its hash is right. Of several processes one downloads, the
 * others wait for it.
 *
 * @param params.onBytes Called with the number of bytes that have come.
 * @returns path of the blob
 * @throws QuernError `HUB_FILE_CORRUPT`, `HUB_CACHE_UNWRITABLE`, and what reads of {@link openHubFile} throw
 */
export async function keepHubFile(params: {
  readonly location: HubFileLocation;
  readonly access: HubAccess;
  readonly cache: Pick<HubCache, "folder">;
  readonly patience?: HubPatience;
  readonly signal?: AbortSignal | undefined;
  readonly onBytes?: (done: number) => void;
}): Promise<string> {
  const { location, cache, signal } = params;
  const places = new RepositoryCache(cache, location);
  const blob = places.blob(location.etag);
  try {
    if (!(await isComplete(blob, location.size))) {
      await withFileLock(places.lock(location.etag), signal, async () => {
        if (await isComplete(blob, location.size)) return;
        await mkdir(dirname(blob), { recursive: true });
        const partial = `${blob}.incomplete`;
        if (!(await download(partial, params)) && !(await download(partial, params))) {
          throw corrupt(location);
        }
        await rename(partial, blob);
      });
    }
    await link(blob, places.link(location.commit, location.path));
  } catch (error) {
    throw error instanceof QuernError ? error : unwritable(location, cache, error, signal);
  }
  return blob;
}

async function isComplete(blob: string, size: number): Promise<boolean> {
  const stats = await stat(blob).catch(() => undefined);
  return stats?.size === size;
}

/**
 * Completes the partial file.
 *
 * @returns false when it went on behind what was there, and all of it together has another hash: then it is gone
 */
async function download(partial: string, params: Parameters<typeof keepHubFile>[0]): Promise<boolean> {
  const { location, onBytes } = params;
  const hash = hashFor(location);
  const file = await open(partial, "a+");
  let resumed: number;
  try {
    const { size } = await file.stat();
    if (size > location.size) await file.truncate(0);
    resumed = size > location.size ? 0 : size;
    await hashBeginning(file, resumed, hash);
    onBytes?.(resumed);
    await append(file, resumed, hash, params);
    await file.sync();
  } finally {
    await file.close();
  }
  if (hash.digest("hex") === location.etag) return true;
  await rm(partial, { force: true });
  if (resumed === 0) throw corrupt(location);
  return false;
}

/** One chunk is on its way while the one before is hashed and written. */
async function append(
  file: FileHandle,
  from: number,
  hash: Hash,
  params: Parameters<typeof keepHubFile>[0],
): Promise<void> {
  const { location, access, patience, signal, onBytes } = params;
  const reading = { access, signal, transport: sendByNode, ...(patience && { patience }) };
  const source = await openHubFile({ location, ...reading });
  const buffers = [new Uint8Array(CHUNK), new Uint8Array(CHUNK)] as const;
  try {
    let next: Promise<Uint8Array> | undefined;
    const ask = (at: number): Promise<Uint8Array> | undefined => {
      const length = Math.min(CHUNK, location.size - at);
      if (length <= 0) return undefined;
      const read = source.read(at, length, buffers[Math.floor((at - from) / CHUNK) % 2]);
      // It is waited for later, or never when writing fails.
      read.catch(() => undefined);
      return read;
    };
    next = ask(from);
    for (let at = from; next !== undefined;) {
      const bytes = await next;
      next = ask(at + bytes.byteLength);
      hash.update(bytes);
      await writeAll(file, bytes);
      at += bytes.byteLength;
      onBytes?.(at);
    }
  } finally {
    await source.close();
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.byteLength;) {
    done += (await file.write(bytes, done, bytes.byteLength - done)).bytesWritten;
  }
}

async function hashBeginning(file: FileHandle, size: number, hash: Hash): Promise<void> {
  const buffer = new Uint8Array(CHUNK);
  for (let at = 0; at < size;) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(CHUNK, size - at), at);
    if (bytesRead === 0) return;
    hash.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
}

/** Large files are known by the SHA-256 of their bytes, others as git objects: SHA-1 of a header and their bytes. */
function hashFor({ etag, size }: HubFileLocation): Hash {
  return etag.length === 40 ? createHash("sha1").update(`blob ${size}\0`) : createHash("sha256");
}

/** Relative, so that the cache can be moved. */
async function link(blob: string, path: string): Promise<void> {
  const target = relative(dirname(path), blob);
  if ((await readlink(path).catch(() => undefined)) === target) return;
  await mkdir(dirname(path), { recursive: true });
  // A link gets another target only by way of another name: nobody finds it missing.
  const temporary = `${path}.${process.pid}.tmp`;
  await symlink(target, temporary);
  await rename(temporary, path).catch(async (error: unknown) => {
    await rm(temporary, { force: true });
    if ((await lstat(path).catch(() => undefined)) === undefined) throw error;
  });
}

function corrupt(location: HubFileLocation): QuernError {
  const name = hubFileName(location);
  return new QuernError(
    "HUB_FILE_CORRUPT",
    `${name}: the bytes that came do not have the hash that the repository lists, ${location.etag}`,
    { subject: { file: name } },
  );
}

function unwritable(
  location: HubFileLocation,
  { folder }: Pick<HubCache, "folder">,
  cause: unknown,
  signal: AbortSignal | undefined,
): QuernError {
  const name = hubFileName(location);
  if (signal?.aborted) {
    return new QuernError("SOURCE_ABORTED", `${name}: reading was aborted`, {
      subject: { file: name },
      cause,
    });
  }
  const { code = "" } = cause as NodeJS.ErrnoException;
  return new QuernError(
    "HUB_CACHE_UNWRITABLE",
    `${name}: cannot be kept in the cache (${folder}): ${code === "ENOSPC" ? "the disk is full" : code}`,
    { subject: { file: name }, cause },
  );
}
