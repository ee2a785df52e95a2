import { request as requestPlain, type IncomingMessage } from "node:http";
import { request as requestSecure } from "node:https";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { QuernError } from "@quern/tensor";
import { hasProxy } from "../proxies.ts";
import { bodyPieces, bodySize, type OutgoingRequest } from "./outgoing-body.ts";
import { readAnswer } from "./read-answer.ts";
import { sendBodyThroughProxy } from "./send-body-through-proxy.ts";

/**
 * Sends one request by `node:http` and reads the answer whole. `fetch` of Node keeps all of a body in memory until it is sent
 * (nodejs/undici issue 4058); here a body of any size takes some buffers of 64 KiB. Where the environment names a proxy it goes through that.
 *
 * @throws what the connection throws; QuernError `HUB_PROXY_INVALID`; QuernError `UPLOAD_FILE_UNREADABLE` when the body cannot be read, or is not as long as it was
 */
export async function sendBody(outgoing: OutgoingRequest): Promise<Response> {
  if (hasProxy()) return sendBodyThroughProxy(outgoing);
  const { url, method, headers, body, signal, stallTimeout } = outgoing;
  const send = url.startsWith("https:") ? requestSecure : requestPlain;
  const request = send(url, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { "content-length": bodySize(body) }) },
    ...(signal === undefined ? {} : { signal }),
  });
  request.setTimeout(stallTimeout, () =>
    request.destroy(new Error(`no byte moved for ${stallTimeout / 1000} s`)),
  );
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    request.on("response", resolve);
    request.on("error", reject);
  });
  const sending = pipeline(Readable.from(bodyPieces(outgoing), { objectMode: false }), request);
  // A server may answer, and hang up, before it has read everything: then the answer counts.
  const failure = new Promise<never>((_, reject) => {
    sending.catch((error: unknown) => (error instanceof QuernError ? reject(error) : undefined));
  });
  try {
    const incoming = await Promise.race([answer, failure]);
    const { statusCode: status = 0, statusMessage: statusText = "", headers: fields } = incoming;
    return await readAnswer({ status, statusText, fields, body: incoming });
  } finally {
    if (!request.writableFinished) request.destroy();
  }
}
