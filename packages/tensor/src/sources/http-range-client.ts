import { connectionFailure } from "./connection-failure.ts";
import { QuernError } from "../error.ts";
import type { HttpAnswer, HttpSend } from "./http-send.ts";
import { retryAfterOf, statusLine, TransientFailure } from "./retry.ts";
import { StallWatch } from "./stall-watch.ts";

/** Bytes that count as getting further: a server that sends a few bytes and breaks off must not be asked for ever. */
const PROGRESS_BYTES = 2 ** 20;

interface Validators {
  readonly etag: string | null;
  readonly lastModified: string | null;
}

/** Single attempts at range requests on one file; throws TransientFailure where another attempt makes sense. */
export class HttpRangeClient {
  readonly #url: string | URL;
  readonly #name: string;
  readonly #send: HttpSend;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #ifRange: boolean;
  readonly #stallTimeout: number;
  #size: number;
  #validators: Validators = { etag: null, lastModified: null };

  constructor(params: {
    url: string | URL;
    name: string;
    send: HttpSend;
    headers: Readonly<Record<string, string>>;
    ifRange: boolean;
    stallTimeout: number;
    size: number | undefined;
  }) {
    this.#url = params.url;
    this.#name = params.name;
    this.#send = params.send;
    this.#headers = params.headers;
    this.#ifRange = params.ifRange;
    this.#stallTimeout = params.stallTimeout;
    this.#size = params.size ?? 0;
  }

  /** Asks for the first byte, remembers which version of the file answered, and returns its size. */
  async probe(signal: AbortSignal | undefined): Promise<number> {
    const { response, watch } = await this.#request({ range: "bytes=0-0" }, signal);
    watch.stop();
    await response.cancel();
    if (response.status === 416 && response.headers.get("content-range") === "bytes */0") return 0;
    const range = this.#contentRange(response);
    if (range.size === undefined) throw this.#rangeUnsupported("does not tell the size of the file");
    this.#size = range.size;
    this.#validators = validatorsOf(response);
    return range.size;
  }

  /**
   * Reads `target.byteLength` bytes at `offset`.
   *
   * @param params.received Called with the number of bytes that came before a failure, when they are worth continuing from, and at
   * the end.
   */
  async read(params: {
    readonly offset: number;
    readonly target: Uint8Array;
    readonly received: (count: number) => void;
    readonly signal: AbortSignal | undefined;
  }): Promise<void> {
    const { offset, target, signal } = params;
    const headers: Record<string, string> = { range: `bytes=${offset}-${offset + target.byteLength - 1}` };
    const { etag } = this.#validators;
    if (this.#ifRange && etag !== null && !etag.startsWith("W/")) headers["if-range"] = etag;
    const { response, watch } = await this.#request(headers, signal);
    try {
      this.#checkVersion(response);
      const range = this.#contentRange(response);
      if (range.size !== undefined && range.size !== this.#size) {
        throw this.#changed(`its size was ${this.#size}, now it is ${range.size}`);
      }
      if (range.first !== offset || range.last !== offset + target.byteLength - 1) {
        // RFC 9110 allows it (section 15.3.7): the next answer may be whole.
        throw new TransientFailure(
          this.#failed(
            "SOURCE_READ_FAILED",
            `asked for bytes ${offset}-${offset + target.byteLength - 1}, the server answered ${response.headers.get("content-range")}`,
            offset,
          ),
          "the answer has other bytes than were asked for",
        );
      }
      this.#rememberVersion(response);
      await this.#readBody({ ...params, response, watch });
    } catch (error) {
      await response.cancel();
      throw error;
    } finally {
      watch.stop();
    }
  }

  async #request(
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal | undefined,
  ): Promise<{ response: HttpAnswer; watch: StallWatch }> {
    const watch = new StallWatch({ timeout: this.#stallTimeout, signal });
    let response: HttpAnswer;
    try {
      response = await this.#send(this.#url, {
        headers: { ...this.#headers, ...headers },
        signal: watch.signal,
      });
    } catch (cause) {
      watch.stop();
      signal?.throwIfAborted();
      if (cause instanceof QuernError) throw cause;
      const reason = connectionFailure(cause);
      throw new TransientFailure(
        this.#failed("SOURCE_READ_FAILED", `the server cannot be reached: ${reason}`, undefined, cause),
        reason,
      );
    }
    if (response.status < 400 || response.status === 416) return { response, watch };
    watch.stop();
    await response.cancel();
    throw this.#statusFailure(response);
  }

  #statusFailure(response: HttpAnswer): Error {
    const { status } = response;
    const answer = `the server answered ${statusLine(response)}`;
    if (status === 404 || status === 410) return this.#failed("SOURCE_NOT_FOUND", answer);
    if (status === 401 || status === 403) return this.#failed("SOURCE_UNREADABLE", answer);
    const error = this.#failed("SOURCE_READ_FAILED", answer);
    if (status < 500 && status !== 408 && status !== 429) return error;
    return new TransientFailure(error, statusLine(response), retryAfterOf(response.headers));
  }

  async #readBody(params: {
    readonly response: HttpAnswer;
    readonly watch: StallWatch;
    readonly offset: number;
    readonly target: Uint8Array;
    readonly received: (count: number) => void;
    readonly signal: AbortSignal | undefined;
  }): Promise<void> {
    const { response, watch, offset, target, received, signal } = params;
    let done = 0;
    let cause: unknown;
    try {
      await response.readBody((piece) => {
        if (done + piece.byteLength > target.byteLength) {
          const problem = `more than the ${target.byteLength} bytes asked for came`;
          throw this.#failed("SOURCE_READ_FAILED", problem, offset);
        }
        const isThere = piece.buffer === target.buffer && piece.byteOffset === target.byteOffset + done;
        if (!isThere) target.set(piece, done);
        done += piece.byteLength;
        watch.received(piece.byteLength);
      }, target);
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof QuernError) throw error;
      cause = error;
    }
    if (done === target.byteLength) return received(done);
    if (done >= PROGRESS_BYTES) received(done);
    const problem = `${done} of ${target.byteLength} bytes came`;
    throw new TransientFailure(
      this.#failed("SOURCE_TRUNCATED", problem, offset + done, cause),
      `the answer broke off${cause === undefined ? "" : `: ${connectionFailure(cause)}`}`,
    );
  }

  #contentRange(response: HttpAnswer): { first: number; last: number; size: number | undefined } {
    if (response.status !== 206) throw this.#rangeUnsupported(`answered ${response.status} instead of 206`);
    const encoding = response.headers.get("content-encoding") ?? "identity";
    if (encoding !== "identity") throw this.#rangeUnsupported(`answered with the file in ${encoding}`);
    const header = response.headers.get("content-range");
    const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(header ?? "");
    if (match === null)
      throw this.#rangeUnsupported(`answered with the content-range ${header ?? "missing"}`);
    const [, first, last, size] = match;
    return { first: Number(first), last: Number(last), size: size === "*" ? undefined : Number(size) };
  }

  /** An answer to a false If-Range is a 200 with the new file; servers that do not know If-Range still name the version. */
  #checkVersion(response: HttpAnswer): void {
    const known = this.#validators;
    const now = validatorsOf(response);
    if (known.etag !== null && now.etag !== null) {
      if (known.etag !== now.etag) throw this.#changed(`its ETag was ${known.etag}, now it is ${now.etag}`);
    } else if (
      known.lastModified !== null &&
      now.lastModified !== null &&
      known.lastModified !== now.lastModified
    ) {
      throw this.#changed(`it was modified at ${known.lastModified}, now at ${now.lastModified}`);
    }
    if (response.status === 416) throw this.#changed(`its size was ${this.#size}, now it is smaller`);
  }

  /** Where the size was known before, the first answer of all says which version it is. */
  #rememberVersion(response: HttpAnswer): void {
    if (this.#validators.etag === null && this.#validators.lastModified === null) {
      this.#validators = validatorsOf(response);
    }
  }

  #changed(problem: string): QuernError {
    return this.#failed("SOURCE_CHANGED", `the file changed since it was opened: ${problem}`);
  }

  #rangeUnsupported(problem: string): QuernError {
    return this.#failed(
      "SOURCE_RANGE_UNSUPPORTED",
      `the server does not serve ranges of the file: it ${problem}`,
    );
  }

  #failed(code: string, problem: string, offset?: number, cause?: unknown): QuernError {
    const at = offset === undefined ? "" : `offset ${offset}: `;
    return new QuernError(code, `${this.#name}: ${at}${problem}`, {
      subject: { file: this.#name, ...(offset === undefined ? {} : { offset }) },
      cause,
    });
  }
}

function validatorsOf(response: HttpAnswer): Validators {
  return { etag: response.headers.get("etag"), lastModified: response.headers.get("last-modified") };
}
