import type { ByteSource } from "../byte-source.ts";
import { QuernError } from "../error.ts";
import { HttpRangeClient } from "./http-range-client.ts";
import { type HttpSend, sendByFetch } from "./http-send.ts";
import { type ChunkReader, closedError, readRange } from "./read-range.ts";
import { type RetryWait, withRetries } from "./retry.ts";

export interface HttpRangeSourceParams {
  url: string | URL;
  /** What messages call the source; the URL unless given (give one when the URL holds a secret). */
  name?: string;
  /** @default globalThis.fetch */
  fetch?: typeof globalThis.fetch;
  /** What sends requests instead of `fetch`. */
  send?: HttpSend;
  /** Sent with every request, such as `authorization`. */
  headers?: Readonly<Record<string, string>>;
  /** Ends every request, and the source with it. */
  signal?: AbortSignal;
  /**
   * Attempts after the first when the network fails, a body breaks off, or the server answers 408, 429 or 5xx. A broken body
   * is continued where it broke off. @default 4
   */
  retries?: number;
  /** Wait before the first retry in milliseconds, doubled for each further one; `Retry-After` goes before it. @default 250 */
  retryDelay?: number;
  /** Called before each wait for another attempt. */
  onWait?: (wait: RetryWait) => void;
  /**
   * Size in bytes, where it is known: then nothing is asked before the first read, and a file of another size counts as changed.
   */
  size?: number;
  /**
   * Milliseconds in which an answer must begin, and in each of which its body must get further by 16 KiB. Slower requests are
   * given up and tried again. @default 30000
   */
  stallTimeout?: number;
  /**
   * Longer reads are divided into several requests, a few of them at the same time. They need no memory beyond the array that is
   * read into. @default one request for each read
   */
  segments?: {
    /** Bytes of a request. */
    size: number;
    /** Requests of one read at the same time. */
    parallel: number;
  };
  /**
   * Whether to send `If-Range` with the first answer's strong ETag. Without it a changed file is noticed by the ETag, the
   * date and the size in the answers alone; that is needed in a browser when the server's CORS rules do not allow the header.
   * @default true
   */
  ifRange?: boolean;
}

/**
 * A source over a remote file, read by HTTP range requests (RFC 9110, section 14). Many reads may run at the same time; those that do
 * when it is closed are ended.
 *
 * Every answer must be a 206 with a `Content-Range` of exactly the bytes asked for, from a file of the size, ETag and date of
 * the first answer, and its body must have that many bytes.
 *
 * @throws QuernError, here and from `read`: `SOURCE_NOT_FOUND` (404, 410), `SOURCE_UNREADABLE` (401, 403),
 * `SOURCE_RANGE_UNSUPPORTED` when the server ignores ranges or does not tell the size, `SOURCE_CHANGED` when the file is not
 * the one of the first answer any more, `SOURCE_TRUNCATED` when a body is short, `SOURCE_ABORTED` with the signal's reason
 * as the cause, `SOURCE_READ_FAILED` for anything else.
 */
export async function httpRangeSource(params: HttpRangeSourceParams): Promise<ByteSource> {
  const { retries = 4, retryDelay = 250, segments } = params;
  const name = params.name ?? String(params.url);
  const end = new AbortController();
  const { signal } = end;
  const abort = (): void => end.abort(params.signal?.reason);
  if (params.signal?.aborted) abort();
  else params.signal?.addEventListener("abort", abort, { once: true });
  // One for each request: of a signal that many listen to Node says that it leaks memory.
  const requests = new Set<AbortController>();
  signal.addEventListener("abort", () => requests.forEach((request) => request.abort(signal.reason)));
  const tryRequest = async <T>(
    attempt: (signal: AbortSignal, progress: () => void) => Promise<T>,
  ): Promise<T> => {
    signal.throwIfAborted();
    const request = new AbortController();
    requests.add(request);
    const policy = { retries, retryDelay, signal: request.signal, onWait: params.onWait };
    try {
      return await withRetries(policy, (progress) => attempt(request.signal, progress));
    } finally {
      requests.delete(request);
    }
  };
  const client = new HttpRangeClient({
    url: params.url,
    name,
    send: params.send ?? sendByFetch({ fetch: params.fetch ?? globalThis.fetch, redirect: "follow" }),
    headers: params.headers ?? {},
    ifRange: params.ifRange ?? true,
    stallTimeout: params.stallTimeout ?? 30_000,
    size: params.size,
  });
  const size =
    params.size ??
    (await orAborted(
      tryRequest((request) => client.probe(request)),
      name,
      signal,
    ));
  const readSegment = async (offset: number, target: Uint8Array): Promise<number> => {
    let done = 0;
    await tryRequest((request, progress) =>
      client.read({
        offset: offset + done,
        target: target.subarray(done),
        received(count) {
          done += count;
          progress();
        },
        signal: request,
      }),
    );
    return done;
  };
  const readChunk = segments === undefined ? readSegment : inSegments(readSegment, segments);
  let closed = false;
  const source: ByteSource = {
    name,
    size,
    async read(offset, length, into) {
      if (closed) throw closedError(name);
      try {
        return await orAborted(readRange({ source, offset, length, into, readChunk }), name, signal);
      } catch (error) {
        // oxlint-disable-next-line typescript/no-unnecessary-condition -- it may have been closed meanwhile
        throw closed ? closedError(name) : error;
      }
    },
    async close() {
      closed = true;
      params.signal?.removeEventListener("abort", abort);
      end.abort();
    },
  };
  return source;
}

/** Reads a chunk by several requests. All of them have ended when it throws: none writes into the target any more. */
function inSegments(
  readSegment: ChunkReader,
  { size, parallel }: NonNullable<HttpRangeSourceParams["segments"]>,
): ChunkReader {
  return async (offset, target) => {
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < target.byteLength) {
        const start = next;
        next += size;
        await readSegment(offset + start, target.subarray(start, start + size)).catch((error: unknown) => {
          next = target.byteLength;
          throw error;
        });
      }
    };
    const lanes = await Promise.allSettled(Array.from({ length: parallel }, lane));
    for (const result of lanes) if (result.status === "rejected") throw result.reason;
    return target.byteLength;
  };
}

async function orAborted<T>(work: Promise<T>, name: string, signal: AbortSignal): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!signal.aborted || error instanceof QuernError) throw error;
    throw new QuernError("SOURCE_ABORTED", `${name}: reading was aborted`, {
      subject: { file: name },
      cause: signal.reason,
    });
  }
}
