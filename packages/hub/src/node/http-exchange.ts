import type { HttpAnswer, HttpFields } from "@quern/tensor";
import type { HTTPParser } from "http-parser-js";
import { AnswerFields } from "./answer-fields.ts";

/** What the parser says of a header. */
type Head = Parameters<InstanceType<typeof HTTPParser>[2]>[0];

/** How an exchange ends for its connection. */
export type ExchangeEnd = { readonly mayGoOn: boolean } | { readonly failure: Error };

/** One request on a connection, and its answer: the connection waits from the end of the header until the body is asked for. */
export class HttpExchange {
  readonly answer: Promise<HttpAnswer>;
  /** Whether the header is there, and nobody has asked for the body yet. */
  isWaiting = false;
  readonly #body: Promise<void>;
  readonly #ended: (end: ExchangeEnd) => void;
  readonly #signal: AbortSignal | undefined;
  readonly #abort: () => void;
  #begin!: (answer: HttpAnswer) => void;
  #finish!: () => void;
  #fail!: (error: Error) => void;
  #read: () => void = () => undefined;
  #isOver = false;
  #mayGoOn = false;
  /** An answer such as 103, which comes before the one that counts. */
  #isInterim = false;
  /** Bytes of the body that are still to come, where the header says it. */
  #remaining: number | undefined;
  /** What came with the header. */
  #early: Buffer[] = [];
  #take: ((piece: Uint8Array) => void) | undefined;
  #target: Buffer | undefined;
  #taken = 0;

  /** @param params.ended Called once: nothing more of this exchange may be read after that. */
  constructor(params: { signal: AbortSignal | undefined; ended: (end: ExchangeEnd) => void }) {
    this.#signal = params.signal;
    this.#ended = params.ended;
    this.#body = new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
    });
    this.answer = new Promise((resolve, reject) => {
      this.#begin = resolve;
      this.#body.catch(reject);
    });
    this.#abort = () => this.fail(this.#signal?.reason as Error);
    this.#signal?.addEventListener("abort", this.#abort, { once: true });
  }

  /** Whether all that comes until the answer is over are bytes of its body, and it is known how many. */
  get isSized(): boolean {
    return this.#remaining !== undefined;
  }

  /** Where the next bytes of the connection belong, if that is known. */
  room(): Buffer | undefined {
    const target = this.#target;
    if (target === undefined || this.#remaining === undefined) return undefined;
    const end = Math.min(target.byteLength, this.#taken + this.#remaining);
    return end > this.#taken ? target.subarray(this.#taken, end) : undefined;
  }

  /** @param read Lets the connection read on. */
  onHead(head: Head, read: () => void): void {
    this.#isInterim = head.statusCode < 200;
    if (this.#isInterim) return;
    const headers: HttpFields = new AnswerFields(pairs(head.headers));
    const length = headers.get("content-length");
    if (length !== null && !/^\d+$/.test(length)) throw new Error(`the content-length is ${length}`);
    this.#mayGoOn = head.shouldKeepAlive;
    this.#read = read;
    this.isWaiting = true;
    this.#begin({
      status: head.statusCode,
      statusText: head.statusMessage,
      headers,
      readBody: (take, target) => this.#readBody(take, target),
      cancel: async () => this.fail(new Error("the answer is not wanted")),
    });
    const hasBody = head.statusCode !== 204 && head.statusCode !== 304;
    if (!hasBody || length === null || headers.get("transfer-encoding") !== null) return;
    this.#remaining = Number(length);
    if (this.#remaining === 0) this.#complete();
  }

  /** Bytes of a body whose size is known. */
  onSized(piece: Buffer): void {
    this.#remaining! -= piece.byteLength;
    if (this.#remaining! < 0) throw new Error("more came than the content-length says");
    this.onBody(piece);
    if (this.#remaining === 0) this.#complete();
  }

  onBody(piece: Buffer): void {
    // What it lies in is read into again.
    if (this.#take === undefined) this.#early.push(Buffer.from(piece));
    else this.#handOn(piece);
  }

  /** The parser has found an end: of the answer, or of what comes before one or before its body. */
  onMessage(): void {
    if (!this.#isInterim && !this.isSized) this.#complete();
  }

  fail(failure: Error): void {
    if (this.#isOver) return;
    this.#end();
    this.#fail(failure);
    this.#ended({ failure });
  }

  #complete(): void {
    if (this.#isOver) return;
    this.isWaiting = false;
    this.#end();
    if (this.#take !== undefined) this.#finish();
    this.#ended({ mayGoOn: this.#mayGoOn });
  }

  #end(): void {
    this.#isOver = true;
    this.#signal?.removeEventListener("abort", this.#abort);
  }

  #readBody(take: (piece: Uint8Array) => void, target: Uint8Array | undefined): Promise<void> {
    this.#take = take;
    this.#target = target && Buffer.from(target.buffer, target.byteOffset, target.byteLength);
    try {
      for (const piece of this.#early) this.#handOn(piece);
    } catch (error) {
      this.fail(error as Error);
      this.#fail(error as Error);
    }
    this.#early = [];
    this.isWaiting = false;
    if (this.#isOver) this.#finish();
    else this.#read();
    return this.#body;
  }

  #handOn(piece: Buffer): void {
    this.#take!(piece);
    this.#taken += piece.byteLength;
  }
}

function* pairs(headers: readonly string[]): Generator<[name: string, value: string]> {
  for (let at = 0; at + 1 < headers.length; at += 2) yield [headers[at]!, headers[at + 1]!];
}
