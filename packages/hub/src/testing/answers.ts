import type { ServerResponse } from "node:http";
import { setTimeout as wait } from "node:timers/promises";
import type { Exchange, Pace } from "./exchange.ts";
import type { Content } from "./stored-repository.ts";

export function answerJson(
  response: ServerResponse,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(200, { "content-type": "application/json", ...headers }).end(JSON.stringify(value));
}

/** @param code Value of `X-Error-Code`; "" for none. */
export function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, code === "" ? {} : { "x-error-code": code }).end();
}

/** Answers with a file, or a range of it, as a sound server does. */
export async function answerFile(
  { server, seen, response, file, first, last }: Exchange,
  etag: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { content } = file!;
  const { pace } = server;
  if (pace !== undefined) await wait(pace.delay);
  const isOther = seen.ifRange !== undefined && seen.ifRange !== etag;
  const isWhole = seen.range === undefined || isOther;
  if (seen.method === "HEAD" || isWhole) {
    response.writeHead(200, { etag, "content-length": content.size, "accept-ranges": "bytes", ...headers });
    if (seen.method === "HEAD") response.end();
    else await sendContent({ response, content, first: 0, end: content.size, pace });
    return;
  }
  response.writeHead(206, {
    etag,
    "content-range": `bytes ${first}-${last}/${content.size}`,
    "content-length": last - first + 1,
    ...headers,
  });
  await sendContent({ response, content, first, end: last + 1, pace });
}

async function sendContent(params: {
  readonly response: ServerResponse;
  readonly content: Content;
  readonly first: number;
  readonly end: number;
  readonly pace: Pace | undefined;
}): Promise<void> {
  const { response, content, first, end, pace } = params;
  const begin = performance.now();
  let sent = 0;
  await content.stream(first, end, async (piece) => {
    await new Promise<void>((resolve, reject) => {
      response.write(piece, (error) => (error ? reject(error) : resolve()));
    });
    sent += piece.byteLength;
    if (pace !== undefined) await wait(begin + (1000 * sent) / pace.rate - performance.now());
  });
  response.end();
}
