import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { QuernError } from "../error.ts";

/** Bytes that are read at a time: the next ones while these are hashed. */
const CHUNK = 2 ** 17;

/**
 * SHA-256 of a range of a file that is open for reading.
 *
 * @param params.path What errors call the file.
 * @returns 64 hexadecimal digits in lower case
 * @throws QuernError `SOURCE_READ_FAILED`, `SOURCE_TRUNCATED` when the file ends before the range does
 */
export async function hashRange(params: {
  readonly handle: FileHandle;
  readonly path: string;
  readonly offset: number;
  readonly size: number;
}): Promise<string> {
  const { handle, path, offset, size } = params;
  const hash = createHash("sha256");
  const length = Math.min(CHUNK, size);
  let [buffer, other] = [new Uint8Array(length), new Uint8Array(length)];
  const read = async (into: Uint8Array, done: number): Promise<number> => {
    if (done >= size) return 0;
    const { bytesRead } = await handle
      .read(into, 0, Math.min(length, size - done), offset + done)
      .catch((cause: Error) => {
        const message = `${path}: reading failed: ${cause.message}`;
        throw new QuernError("SOURCE_READ_FAILED", message, { subject: { file: path }, cause });
      });
    if (bytesRead > 0) return bytesRead;
    throw new QuernError(
      "SOURCE_TRUNCATED",
      `${path}: the file ends at byte ${offset + done}: expected ${offset + size} bytes or more`,
      { subject: { file: path, offset: offset + done } },
    );
  };
  let done = 0;
  let bytes = await read(buffer, 0);
  while (bytes > 0) {
    done += bytes;
    const next = read(other, done);
    // It is waited for below, whatever hashing does.
    next.catch(() => undefined);
    hash.update(buffer.subarray(0, bytes));
    bytes = await next;
    [buffer, other] = [other, buffer];
  }
  return hash.digest("hex");
}
