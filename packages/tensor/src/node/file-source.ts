import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { QuernError } from "../error.ts";
import type { ByteSource } from "../byte-source.ts";
import { closedError, readRange } from "../sources/read-range.ts";

/**
 * Opens a regular file for positional reads. Many reads may run at the same time.
 *
 * @param params.name What messages call the file; the path unless given.
 * @throws QuernError `SOURCE_NOT_FOUND` when there is no such file, `SOURCE_NOT_A_FILE` for a directory, pipe or device,
 * `SOURCE_UNREADABLE` when permission is missing, `SOURCE_READ_FAILED` for anything else.
 */
export async function fileSource(params: { path: string; name?: string }): Promise<ByteSource> {
  const { path, name = path } = params;
  const { handle, size } = await openRegularFile(path, name);
  let closed = false;
  const source: ByteSource = {
    name,
    size,
    async read(offset, length, into) {
      if (closed) throw closedError(name);
      return readRange({
        source,
        offset,
        length,
        into,
        async readChunk(at, target) {
          try {
            return (await handle.read(target, 0, target.byteLength, at)).bytesRead;
          } catch (cause) {
            throw new QuernError("SOURCE_READ_FAILED", `${name}: reading at offset ${at} failed`, {
              subject: { file: name, offset: at },
              cause,
            });
          }
        },
      });
    },
    async close() {
      if (closed) return;
      closed = true;
      await handle.close();
    },
  };
  return source;
}

/** Without O_NONBLOCK (which Windows lacks), opening a pipe would wait for a writer. */
const READ_ONLY: number = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

async function openRegularFile(path: string, name: string): Promise<{ handle: FileHandle; size: number }> {
  let handle: FileHandle;
  try {
    handle = await open(path, READ_ONLY);
  } catch (cause) {
    throw openError(name, cause);
  }
  try {
    const stats = await handle.stat();
    if (stats.isFile()) return { handle, size: stats.size };
  } catch (cause) {
    await handle.close();
    throw openError(name, cause);
  }
  await handle.close();
  throw new QuernError("SOURCE_NOT_A_FILE", `${name}: expected a regular file`, { subject: { file: name } });
}

const OPEN_FAILURES: Readonly<Record<string, readonly [code: string, reason: string]>> = {
  ENOENT: ["SOURCE_NOT_FOUND", "no such file"],
  ENOTDIR: ["SOURCE_NOT_FOUND", "no such file: a part of the path is not a directory"],
  EACCES: ["SOURCE_UNREADABLE", "permission denied"],
  EPERM: ["SOURCE_UNREADABLE", "permission denied"],
  EISDIR: ["SOURCE_NOT_A_FILE", "expected a regular file, found a directory"],
};

function openError(name: string, cause: unknown): QuernError {
  const errno = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const [code, reason] = OPEN_FAILURES[errno] ?? ["SOURCE_READ_FAILED", "the file cannot be opened"];
  return new QuernError(code, `${name}: ${reason}`, { subject: { file: name }, cause });
}
