import type { HttpAnswer, HttpSend } from "@quern/tensor";
import type { Dispatcher } from "undici";
import { AnswerFields } from "./answer-fields.ts";
import { proxyDispatcher } from "./proxies.ts";

type Handler = Dispatcher.DispatchHandler;
type Controller = Dispatcher.DispatchController;
type Fields = Readonly<Record<string, string | string[] | undefined>>;

/** Sends a GET request through the proxies of the environment. How long an answer may take is for the signal to say. */
export const sendThroughProxy: HttpSend = async (url, { headers, signal }) => {
  signal?.throwIfAborted();
  const { origin, pathname, search } = new URL(url);
  const exchange = new Exchange(signal);
  proxyDispatcher().dispatch({ origin, path: pathname + search, method: "GET", headers }, exchange);
  return exchange.answer;
};

/** A request on its way, and its answer: the connection waits from the end of the header until the body is asked for. */
class Exchange implements Handler {
  readonly answer: Promise<HttpAnswer>;
  readonly #signal: AbortSignal | undefined;
  readonly #abort: () => void;
  readonly #body: Promise<void>;
  #controller: Controller | undefined;
  #failure: Error | undefined;
  #isComplete = false;
  #take: ((piece: Uint8Array) => void) | undefined;
  #begin!: (answer: HttpAnswer) => void;
  #finish!: () => void;
  #fail!: (error: Error) => void;

  constructor(signal: AbortSignal | undefined) {
    this.#body = new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
    });
    this.answer = new Promise((resolve, reject) => {
      this.#begin = resolve;
      this.#body.catch(reject);
    });
    this.#signal = signal;
    this.#abort = () => this.#end(signal?.reason as Error);
    if (signal?.aborted) this.#abort();
    else signal?.addEventListener("abort", this.#abort, { once: true });
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller;
    if (this.#failure !== undefined) controller.abort(this.#failure);
  }

  onResponseStart(controller: Controller, status: number, fields: Fields, statusText = ""): void {
    // What comes before the answer, such as 103, is not it.
    if (status < 200) return;
    controller.pause();
    try {
      this.#begin({
        status,
        statusText,
        headers: new AnswerFields(joined(fields)),
        readBody: (take) => this.#read(controller, take),
        cancel: async () => this.#end(new Error("the answer is not wanted")),
      });
    } catch (error) {
      this.#end(error as Error);
    }
  }

  onResponseData(_: Controller, piece: Uint8Array): void {
    if (this.#failure !== undefined) return;
    try {
      this.#take?.(piece);
    } catch (error) {
      this.#end(error as Error);
    }
  }

  onResponseEnd(): void {
    this.#isComplete = true;
    this.#signal?.removeEventListener("abort", this.#abort);
    this.#finish();
  }

  onResponseError(_: Controller | undefined, error: Error): void {
    this.#end(error);
  }

  #read(controller: Controller, take: (piece: Uint8Array) => void): Promise<void> {
    this.#take = take;
    if (this.#failure === undefined) controller.resume();
    return this.#body;
  }

  /** Nothing is handed on any more; the connection is given up unless the answer was over. */
  #end(error: Error): void {
    if (this.#failure !== undefined || this.#isComplete) return;
    this.#failure = error;
    this.#signal?.removeEventListener("abort", this.#abort);
    this.#fail(error);
    this.#controller?.abort(error);
  }
}

function joined(fields: Fields): [name: string, value: string][] {
  return Object.entries(fields).map(([name, value]) => [name, [value].flat().join(", ")]);
}
