import { QuernError } from "@quern/tensor";

/** Answers to what is written are short. */
const LARGEST_ANSWER = 16 * 2 ** 20;

/** An answer as it comes. */
interface IncomingAnswer {
  readonly status: number;
  readonly statusText: string;
  readonly fields: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: AsyncIterable<Uint8Array> & { destroy(): unknown };
}

/** Reads an answer whole. @throws QuernError `HUB_RESPONSE_INVALID`; what connections throw */
export async function readAnswer({ status, statusText, fields, body }: IncomingAnswer): Promise<Response> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > LARGEST_ANSWER) {
      body.destroy();
      throw new QuernError("HUB_RESPONSE_INVALID", `The Hub answers with more than ${LARGEST_ANSWER} bytes.`);
    }
    chunks.push(chunk);
  }
  const headers = new Headers();
  for (const [name, value] of Object.entries(fields)) {
    for (const one of [value ?? []].flat()) headers.append(name, one);
  }
  if (status < 200 || status > 599) {
    throw new QuernError("HUB_RESPONSE_INVALID", `The Hub answers with the status ${status}.`);
  }
  const isEmpty = [204, 205, 304].includes(status);
  return new Response(isEmpty ? null : Buffer.concat(chunks), { status, statusText, headers });
}
