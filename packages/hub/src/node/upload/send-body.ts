import { request as requestPlain, type IncomingMessage } from "node:http";
import { request as requestSecure } from "node:https";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { QuernError } from "@quern/tensor";

/** What is sent: a text, or bytes that are read as they go out, each time anew. */
export type Body = string | Blob;

export interface OutgoingRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Body | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds without a byte moving after which the connection is given up. */
  readonly stallTimeout: number;
  /** Called with the bytes that have been handed to the connection since the last call. */
  readonly onSent?: ((bytes: number) => void) | undefined;
}

/** Answers to what is written are short. */
const LARGEST_ANSWER = 16 * 2 ** 20;

/**
 * Sends one request by `node:http` and reads the answer whole. `fetch` of Node keeps all of a body in memory until it is sent
 * (nodejs/undici issue 4058); here a body of any size takes some buffers of 64 KiB.
 *
 * @throws what the connection throws; QuernError `UPLOAD_FILE_UNREADABLE` when the body cannot be read, or is not as long as it was
 */
export async function sendBody(outgoing: OutgoingRequest): Promise<Response> {
  const { url, method, headers, body, signal, stallTimeout, onSent } = outgoing;
  const send = url.startsWith("https:") ? requestSecure : requestPlain;
  const size = body === undefined ? 0 : typeof body === "string" ? Buffer.byteLength(body) : body.size;
  const request = send(url, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { "content-length": size }) },
    ...(signal === undefined ? {} : { signal }),
  });
  request.setTimeout(stallTimeout, () =>
    request.destroy(new Error(`no byte moved for ${stallTimeout / 1000} s`)),
  );
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    request.on("response", resolve);
    request.on("error", reject);
  });
  const sending = pipeline(Readable.from(chunksOf(body, size, onSent), { objectMode: false }), request);
  // A server may answer, and hang up, before it has read everything: then the answer counts.
  const failure = new Promise<never>((_, reject) => {
    sending.catch((error: unknown) => (error instanceof QuernError ? reject(error) : undefined));
  });
  try {
    const incoming = await Promise.race([answer, failure]);
    return await readAnswer(incoming);
  } finally {
    if (!request.writableFinished) request.destroy();
  }
}

async function* chunksOf(
  body: Body | undefined,
  size: number,
  onSent: OutgoingRequest["onSent"],
): AsyncGenerator<Uint8Array> {
  if (body === undefined) return;
  if (typeof body === "string") {
    yield Buffer.from(body);
    return;
  }
  let sent = 0;
  try {
    for await (const chunk of body.stream()) {
      sent += chunk.byteLength;
      yield chunk;
      onSent?.(chunk.byteLength);
    }
  } catch (cause) {
    throw new QuernError("UPLOAD_FILE_UNREADABLE", `The file cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
  if (sent !== size) {
    throw new QuernError(
      "UPLOAD_FILE_UNREADABLE",
      `The file has changed while it was uploaded: ${sent} bytes instead of ${size}`,
    );
  }
}

async function readAnswer(incoming: IncomingMessage): Promise<Response> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of incoming as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > LARGEST_ANSWER) {
      incoming.destroy();
      throw new QuernError("HUB_RESPONSE_INVALID", `The Hub answers with more than ${LARGEST_ANSWER} bytes.`);
    }
    chunks.push(chunk);
  }
  const { statusCode = 0, statusMessage = "" } = incoming;
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers)) {
    for (const one of [value ?? []].flat()) headers.append(name, one);
  }
  if (statusCode < 200 || statusCode > 599) {
    throw new QuernError("HUB_RESPONSE_INVALID", `The Hub answers with the status ${statusCode}.`);
  }
  const isEmpty = [204, 205, 304].includes(statusCode);
  return new Response(isEmpty ? null : Buffer.concat(chunks), {
    status: statusCode,
    statusText: statusMessage,
    headers,
  });
}
