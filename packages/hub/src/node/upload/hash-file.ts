import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";

/** What the Hub may know a file by. */
export interface FileHashes {
  readonly bytes: number;
  /** Of the content: what a large file is called by. Lower-case hexadecimal digits, as the other. */
  readonly sha256: string;
  /** Of the git object: what a small file is called by. */
  readonly gitHash: string;
}

/** Reads a file through and hashes it. */
export async function hashFile(path: string, signal?: AbortSignal): Promise<FileHashes> {
  const { size: bytes } = await stat(path);
  const content = createHash("sha256");
  const object = createHash("sha1").update(`blob ${bytes}\0`);
  const stream = createReadStream(path, {
    highWaterMark: 2 ** 20,
    ...(signal === undefined ? {} : { signal }),
  });
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    content.update(chunk);
    object.update(chunk);
  }
  return { bytes, sha256: content.digest("hex"), gitHash: object.digest("hex") };
}
