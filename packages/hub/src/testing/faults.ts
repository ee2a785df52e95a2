import { gzipSync } from "node:zlib";
import type { Exchange, Fault } from "./exchange.ts";

/** Whether a request is for a range of weights at the host of large files. */
export function isWeights({ seen }: Pick<Exchange, "seen">): boolean {
  return seen.host === "cdn";
}

/** Does a thing to every n-th request that it is meant for, beginning with the first. */
export function everyNth(n: number, matches: (exchange: Exchange) => boolean, act: Fault): Fault {
  let count = 0;
  return (exchange) => matches(exchange) && count++ % n === 0 && act(exchange);
}

/** Does a thing to the first requests that it is meant for. */
export function firstOf(count: number, matches: (exchange: Exchange) => boolean, act: Fault): Fault {
  let done = 0;
  return (exchange) => matches(exchange) && done++ < count && act(exchange);
}

/** @param headers Such as `retry-after`. */
export function answerStatus(status: number, headers: Record<string, string> = {}): Fault {
  return ({ response }) => {
    response.writeHead(status, headers).end("busy");
    return true;
  };
}

function writeRangeHead({ response, file, first, last }: Exchange): void {
  response.writeHead(206, {
    etag: `"at-cdn-${file!.etag.slice(0, 8)}"`,
    "content-range": `bytes ${first}-${last}/${file!.content.size}`,
    "content-length": last - first + 1,
  });
}

/** Sends the first half, then resets the connection. */
export const resetMidBody: Fault = (exchange) => {
  const { response, file, first, last } = exchange;
  writeRangeHead(exchange);
  const half = Math.ceil((last - first + 1) / 2);
  response.write(file!.content.read(first, first + half), () => {
    setTimeout(() => response.socket?.resetAndDestroy(), 5);
  });
  return true;
};

/** Says, and sends, fewer bytes than asked for. */
export const shortRange: Fault = ({ response, file, first, last }) => {
  const end = Math.max(first, last - 1);
  response.writeHead(206, { "content-range": `bytes ${first}-${end}/${file!.content.size}` });
  response.end(file!.content.read(first, end + 1));
  return true;
};

/** Sends the whole file. */
export const ignoredRange: Fault = ({ response, file }) => {
  response.writeHead(200).end(file!.content.read(0, file!.content.size));
  return true;
};

/** Sends the range, but compressed, and not all of that. */
export const truncatedGzip: Fault = ({ response, file, first, last }) => {
  const compressed = gzipSync(file!.content.read(first, last + 1));
  response.writeHead(206, {
    "content-encoding": "gzip",
    "content-range": `bytes ${first}-${last}/${file!.content.size}`,
  });
  response.end(compressed.subarray(0, compressed.length / 2));
  return true;
};

/** Sends a byte now and then, for ever. */
export const slowTrickle: Fault = (exchange) => {
  const { response } = exchange;
  writeRangeHead(exchange);
  const timer = setInterval(() => response.write("x"), 20);
  response.on("close", () => clearInterval(timer));
  return true;
};
