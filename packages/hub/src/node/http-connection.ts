import { validateHeaderValue } from "node:http";
import { connect, isIP, type Socket } from "node:net";
import { connect as connectSecurely } from "node:tls";
import type { HttpAnswer } from "@quern/tensor";
import { HTTPParser } from "http-parser-js";
import { type ExchangeEnd, HttpExchange } from "./http-exchange.ts";

/** Milliseconds for which a connection waits to be used again; many servers wait for 5 s. */
const IDLE = 4000;

/**
 * Milliseconds for which an address of a host is tried before the next one is. Node's 250 give up connections to the other side of the
 * world.
 */
const ADDRESS_TIMEOUT = 1000;

/**
 * What comes while nobody has said where it goes is read into this: headers, and the beginnings of bodies. It is used again once the call
 * with it returns, by all connections of the thread.
 */
const scratch = Buffer.allocUnsafeSlow(16 * 1024);

/** What the parser is told at the end of a header, as that of Node is: to go on, or to leave everything that follows alone. */
const GO_ON = 0;
const NO_MORE = 2;

/** What a connection tells those who keep it. */
export interface ConnectionEvents {
  /** The answer is over, and another request may be sent. */
  readonly free: (connection: HttpConnection) => void;
  readonly closed: (connection: HttpConnection) => void;
}

/**
 * A connection for one GET request at a time (HTTP/1.1, RFC 9112). Bodies are read to where they belong by the system itself: no array,
 * no copy and no call of JavaScript for each 64 KiB, which is what reading over a network costs most of its processor time for otherwise.
 */
export class HttpConnection {
  /** Whether anything came in answer to the last request. */
  hasAnswered = false;
  readonly #host: string;
  readonly #socket: Socket;
  readonly #parser = new HTTPParser(HTTPParser.RESPONSE);
  readonly #events: ConnectionEvents;
  #exchange: HttpExchange | undefined;
  #failure: Error | undefined;

  /** @param origin With the protocol http or https. */
  constructor(origin: URL, events: ConnectionEvents) {
    this.#host = origin.host;
    this.#events = events;
    this.#parser[HTTPParser.kOnHeadersComplete] = (head) => {
      const exchange = this.#current();
      exchange.onHead(head, () => this.#socket.resume());
      return exchange.isSized ? NO_MORE : GO_ON;
    };
    this.#parser[HTTPParser.kOnBody] = (piece) => this.#current().onBody(piece);
    this.#parser[HTTPParser.kOnMessageComplete] = () => this.#exchange?.onMessage();
    this.#socket = open(origin, {
      buffer: () => this.#exchange?.room() ?? scratch,
      callback: (count, into) => this.#receive(into as Buffer, count),
    });
    this.#socket.setNoDelay(true);
    this.#socket.on("timeout", () => this.#socket.destroy());
    this.#socket.on("error", (error) => (this.#failure = error));
    this.#socket.on("close", () => {
      if (this.#failure === undefined) this.#parser.finish();
      this.#exchange?.fail(
        this.#failure ?? new Error("the connection was closed before the answer was over"),
      );
      this.#events.closed(this);
    });
  }

  /** Sends a request. What ends it before its answer is over ends the connection, too. */
  ask(params: {
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly signal: AbortSignal | undefined;
  }): Promise<HttpAnswer> {
    const fields = Object.entries({ host: this.#host, ...params.headers });
    for (const [name, value] of fields) validateHeaderValue(name, value);
    const lines = [`GET ${params.path} HTTP/1.1`, ...fields.map(([name, value]) => `${name}: ${value}`)];
    const exchange = new HttpExchange({ signal: params.signal, ended: (end) => this.#ended(end) });
    this.#exchange = exchange;
    this.hasAnswered = false;
    this.#parser.initialize(HTTPParser.RESPONSE);
    this.#socket.setTimeout(0);
    this.#socket.ref();
    this.#socket.write(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
    this.#socket.resume();
    return exchange.answer;
  }

  #current(): HttpExchange {
    if (this.#exchange === undefined) throw new Error("more came than was asked for");
    return this.#exchange;
  }

  /** @returns whether to read on */
  #receive(into: Buffer, count: number): boolean {
    this.hasAnswered = true;
    try {
      let piece = into.subarray(0, count);
      if (!this.#current().isSized) {
        const parsed = this.#parser.execute(piece);
        if (parsed instanceof Error) throw parsed;
        piece = piece.subarray(parsed);
      }
      if (piece.byteLength > 0) this.#current().onSized(piece);
    } catch (error) {
      this.#exchange?.fail(error as Error);
      this.#socket.destroy();
      return false;
    }
    return this.#exchange?.isWaiting !== true;
  }

  #ended(end: ExchangeEnd): void {
    this.#exchange = undefined;
    if ("failure" in end || !end.mayGoOn || this.#socket.destroyed) {
      this.#socket.destroy();
      return;
    }
    this.#socket.setTimeout(IDLE);
    this.#socket.unref();
    this.#events.free(this);
  }
}

function open(
  { protocol, hostname, port }: URL,
  onread: { buffer: () => Uint8Array; callback: (count: number, into: Uint8Array) => boolean },
): Socket {
  const isSecure = protocol === "https:";
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  const target = {
    host,
    port: port === "" ? (isSecure ? 443 : 80) : Number(port),
    autoSelectFamilyAttemptTimeout: ADDRESS_TIMEOUT,
    onread,
  };
  if (!isSecure) return connect(target);
  const servername = isIP(host) === 0 ? { servername: host } : {};
  return connectSecurely({ ...target, ...servername, ALPNProtocols: ["http/1.1"] });
}
