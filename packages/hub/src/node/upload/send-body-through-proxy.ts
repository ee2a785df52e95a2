import { Readable } from "node:stream";
import { proxyDispatcher } from "../proxies.ts";
import { bodyPieces, bodySize, type OutgoingRequest } from "./outgoing-body.ts";
import { readAnswer } from "./read-answer.ts";

/**
 * Sends one request through the proxies of the environment and reads the answer whole. Memory does not depend on the size of the body.
 *
 * @throws what the connection throws; QuernError `UPLOAD_FILE_UNREADABLE` when the body cannot be read, or is not as long as it was
 */
export async function sendBodyThroughProxy(outgoing: OutgoingRequest): Promise<Response> {
  const { url, method, headers, body, signal, stallTimeout, onSent } = outgoing;
  const { origin, pathname, search } = new URL(url);
  const stalled = new AbortController();
  const stall = (): void => stalled.abort(new Error(`no byte moved for ${stallTimeout / 1000} s`));
  const timer = setTimeout(stall, stallTimeout);
  const pieces = bodyPieces({
    body,
    onSent: (bytes) => {
      timer.refresh();
      onSent?.(bytes);
    },
  });
  try {
    const answer = await proxyDispatcher().request({
      origin,
      path: pathname + search,
      method,
      headers: { ...headers, ...(body === undefined ? {} : { "content-length": String(bodySize(body)) }) },
      body: body === undefined ? null : Readable.from(pieces, { objectMode: false }),
      signal: signal === undefined ? stalled.signal : AbortSignal.any([signal, stalled.signal]),
    });
    timer.refresh();
    const { statusCode: status, statusText, headers: fields } = answer;
    return await readAnswer({ status, statusText, fields, body: answer.body });
  } finally {
    clearTimeout(timer);
  }
}
