import type { ByteSource } from "../byte-source.ts";
import { QuernError } from "../error.ts";

/**
 * Most bytes asked of the system in one call. Node reads at most 2^31 - 1 bytes at a time, and some versions silently
 * read fewer bytes when asked for more than 4 GiB.
 */
const MAX_CHUNK = 2 ** 30;

/**
 * Reads up to `target.byteLength` bytes at `offset` into `target` and returns how many came; 0 means that the source ended.
 */
export type ChunkReader = (offset: number, target: Uint8Array) => Promise<number>;

/** Throws `SOURCE_OUT_OF_RANGE` unless the range is inside the source. */
export function checkRange(source: Pick<ByteSource, "name" | "size">, offset: number, length: number): void {
  const valid = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (valid && offset + length <= source.size) return;
  throw new QuernError(
    "SOURCE_OUT_OF_RANGE",
    `${source.name}: ${length} bytes from offset ${offset} are not inside the ${source.size} bytes of the source`,
    { subject: { file: source.name, offset } },
  );
}

/** The first `length` bytes of `into`, or a new array of `length` bytes. */
export function targetFor(name: string, length: number, into: Uint8Array | undefined): Uint8Array {
  if (into === undefined) {
    try {
      return new Uint8Array(length);
    } catch (cause) {
      throw new QuernError("SOURCE_OUT_OF_MEMORY", `${name}: no memory for an array of ${length} bytes`, {
        subject: { file: name },
        cause,
      });
    }
  }
  if (into.byteLength < length) {
    throw new QuernError(
      "SOURCE_BUFFER_TOO_SMALL",
      `${name}: the buffer given has ${into.byteLength} bytes: expected at least ${length}`,
      { subject: { file: name } },
    );
  }
  return into.byteLength === length ? into : into.subarray(0, length);
}

/** Checks the range, then fills the target chunk by chunk, checking how many bytes came. */
export async function readRange(params: {
  source: Pick<ByteSource, "name" | "size">;
  offset: number;
  length: number;
  into: Uint8Array | undefined;
  readChunk: ChunkReader;
}): Promise<Uint8Array> {
  const { source, offset, length, into, readChunk } = params;
  checkRange(source, offset, length);
  const target = targetFor(source.name, length, into);
  let done = 0;
  while (done < length) {
    const chunk = target.subarray(done, Math.min(length, done + MAX_CHUNK));
    const count = await readChunk(offset + done, chunk);
    if (count <= 0) {
      throw new QuernError(
        "SOURCE_TRUNCATED",
        `${source.name}: got ${done} of ${length} bytes from offset ${offset}: the source is shorter than its size of ${source.size} bytes said`,
        { subject: { file: source.name, offset: offset + done } },
      );
    }
    done += count;
  }
  return target;
}

export function closedError(name: string): QuernError {
  return new QuernError("SOURCE_CLOSED", `${name}: read after close`, { subject: { file: name } });
}
