import type { ServerResponse } from "node:http";
import type { Exchange } from "./exchange.ts";
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
  { seen, response, file, first, last }: Exchange,
  etag: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { content } = file!;
  const isOther = seen.ifRange !== undefined && seen.ifRange !== etag;
  const isWhole = seen.range === undefined || isOther;
  if (seen.method === "HEAD" || isWhole) {
    response.writeHead(200, { etag, "content-length": content.size, "accept-ranges": "bytes", ...headers });
    if (seen.method === "HEAD") response.end();
    else await sendContent(response, content, 0, content.size);
    return;
  }
  response.writeHead(206, {
    etag,
    "content-range": `bytes ${first}-${last}/${content.size}`,
    "content-length": last - first + 1,
    ...headers,
  });
  await sendContent(response, content, first, last + 1);
}

async function sendContent(
  response: ServerResponse,
  content: Content,
  first: number,
  end: number,
): Promise<void> {
  await content.stream(
    first,
    end,
    (piece) =>
      new Promise((resolve, reject) => {
        response.write(piece, (error) => (error ? reject(error) : resolve()));
      }),
  );
  response.end();
}
