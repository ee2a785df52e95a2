import { createHash, type Hash } from "node:crypto";
import type { ByteSource } from "@quern/tensor";

/** Some bytes of a file. */
export interface Region {
  readonly offset: number;
  readonly bytes: number;
}

/** Hashes of a file; SHA-256 in lower-case hex. */
export interface FileHashes {
  /** Of all of it. */
  readonly sha256: string;
  /** Of each region that was asked for. */
  readonly regions: readonly string[];
  /** Where the first byte that is not 0 lies between the regions; absent where there is none, and where it was not looked for. */
  readonly stray?: number;
}

/** Bytes that are read at a time; two such pieces are in memory. */
const PIECE = 2 ** 22;

/**
 * Hashes a file and regions of it, in one pass and in bounded memory: a piece is read while the one before it is hashed.
 *
 * @param params.regions Rising, without overlaps, within the file.
 * @param params.findStray Whether bytes between them are looked at. @default false
 * @param params.onBytes Called with the bytes of every piece that is done.
 * @throws the reason of the signal, and what the source throws
 */
export async function hashFile(params: {
  readonly source: ByteSource;
  readonly regions?: readonly Region[];
  readonly findStray?: boolean;
  readonly signal?: AbortSignal;
  readonly onBytes?: (bytes: number) => void;
}): Promise<FileHashes> {
  const { source, regions = [], findStray = false, signal, onBytes } = params;
  const whole = createHash("sha256");
  const walk = regionWalk(regions, findStray);
  const read = (offset: number, index: number): Promise<Uint8Array> | undefined =>
    offset < source.size
      ? source.read(offset, Math.min(PIECE, source.size - offset), buffers[index % 2])
      : undefined;
  const buffers = [0, 1].map(() => new Uint8Array(Math.min(PIECE, source.size)));
  let next = read(0, 0);
  for (let offset = 0, index = 1; next !== undefined; index++) {
    const piece: Uint8Array = await next;
    signal?.throwIfAborted();
    next = read(offset + piece.byteLength, index);
    // Its failure is met in the next round.
    next?.catch(() => undefined);
    whole.update(piece);
    walk.take(piece, offset);
    offset += piece.byteLength;
    onBytes?.(piece.byteLength);
  }
  const stray = walk.stray();
  return { sha256: whole.digest("hex"), regions: walk.finish(), ...(stray === undefined ? {} : { stray }) };
}

/** Deals the bytes of a file, in their order, to the hashes of its regions. */
function regionWalk(
  regions: readonly Region[],
  findStray: boolean,
): {
  take(piece: Uint8Array, start: number): void;
  stray(): number | undefined;
  finish(): string[];
} {
  const done: string[] = [];
  let hash: Hash = createHash("sha256");
  let stray: number | undefined;
  const close = (): void => {
    done.push(hash.digest("hex"));
    hash = createHash("sha256");
  };
  const lookBetween = (bytes: Uint8Array, at: number): void => {
    if (!findStray || stray !== undefined) return;
    const found = bytes.findIndex((byte) => byte !== 0);
    if (found !== -1) stray = at + found;
  };
  return {
    take(piece, start) {
      const end = start + piece.byteLength;
      let at = start;
      while (at < end) {
        const region = regions[done.length];
        if (region === undefined || region.offset >= end) {
          lookBetween(piece.subarray(at - start), at);
          return;
        }
        if (region.offset > at) {
          lookBetween(piece.subarray(at - start, region.offset - start), at);
          at = region.offset;
        }
        const to = Math.min(end, region.offset + region.bytes);
        hash.update(piece.subarray(at - start, to - start));
        at = to;
        if (to === region.offset + region.bytes) close();
      }
    },
    stray: () => stray,
    finish() {
      // Empty ones at the end of the file.
      while (done.length < regions.length) close();
      return done;
    },
  };
}
