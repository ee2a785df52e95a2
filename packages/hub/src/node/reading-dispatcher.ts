import { createRequire } from "node:module";
import type { Socket } from "node:net";
import { QuernError } from "@quern/tensor";
import type * as Undici from "undici";

type Dispatcher = Undici.Dispatcher;

const require = createRequire(import.meta.url);

/** Bytes that are read from a connection at a time: as many as Node reads by itself. */
const PIECE = 64 * 2 ** 10;

/** Where undici looks for proxies. */
const PROXIES = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"];
const PROXY_PROTOCOLS: ReadonlySet<string> = new Set(["http:", "https:", "socks5:"]);

/** One for each thread, and only once something is asked: idle connections end by themselves, and keep no process alive. */
let dispatcher: Dispatcher | undefined;

/**
 * What keeps the connections of this thread. Proxies are those of the environment: `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, in small
 * letters, too.
 *
 * @throws QuernError `HUB_PROXY_INVALID`
 */
export function readingDispatcher(): Dispatcher {
  dispatcher ??= hasProxy() ? proxyAgent() : directAgent();
  return dispatcher;
}

/** How long an answer may take is for those to say who ask. */
const TIMEOUTS = { headersTimeout: 0, bodyTimeout: 0 };

function proxyAgent(): Dispatcher {
  const { EnvHttpProxyAgent } = require("undici") as typeof Undici;
  return new EnvHttpProxyAgent({ ...TIMEOUTS, connect: connectIntoOneBuffer() });
}

/** All of undici takes three times as long to load, and 10 MB more in every thread. */
function directAgent(): Dispatcher {
  const Agent = require("undici/lib/dispatcher/agent.js") as typeof Undici.Agent;
  return new Agent({ ...TIMEOUTS, connect: connectIntoOneBuffer() });
}

function hasProxy(): boolean {
  const given = PROXIES.filter((name) => (process.env[name] ?? "") !== "");
  for (const name of given) {
    const address = process.env[name]!;
    if (URL.canParse(address) && PROXY_PROTOCOLS.has(new URL(address).protocol)) continue;
    // The address may hold a password.
    throw new QuernError(
      "HUB_PROXY_INVALID",
      `${name} is not the address of a proxy: expected one such as http://proxy.example:8080`,
      { subject: { key: name } },
    );
  }
  return given.length > 0;
}

/**
 * Connects such that everything that comes is read into the same buffer. Otherwise each piece is in an array of its own, and what
 * costs most of reading over a network is to find those that are garbage.
 */
function connectIntoOneBuffer(): Undici.buildConnector.connector {
  const build = require("undici/lib/core/connect.js") as typeof Undici.buildConnector;
  const buffer = Buffer.allocUnsafeSlow(PIECE);
  return (options, callback) => {
    let socket: Socket;
    const onread = {
      buffer,
      callback: (count: number) => handOver(socket, buffer.subarray(0, count)),
    };
    build({ onread } as Undici.buildConnector.BuildOptions)(options, (...connected) => {
      if (connected[1] !== null) [, socket] = connected;
      callback(...connected);
    });
  };
}

/**
 * Lets a piece be read before this returns.
 *
 * @returns whether there is room for more
 */
function handOver(socket: Socket, piece: Buffer): boolean {
  socket.push(piece);
  socket.emit("readable");
  // What is left, because an answer waits for its reader, may not stay where the next piece comes.
  const rest = socket.readableLength === 0 ? null : (socket.read() as Buffer | null);
  if (rest !== null) socket.unshift(Buffer.from(rest));
  return socket.readableLength < socket.readableHighWaterMark;
}
