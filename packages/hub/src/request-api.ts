import {
  connectionFailure,
  type HttpAnswer,
  type HttpSend,
  QuernError,
  retryAfterOf,
  type RetryPolicy,
  statusLine,
  TransientFailure,
  withRetries,
} from "@quern/tensor";
import type { HubAccess } from "./access.ts";
import { type HubSubject, isTransient, refusal } from "./failures.ts";
import { send } from "./send.ts";
import { unreachable } from "./unreachable.ts";

/** A page of a listing has some hundred kilobytes. */
const LARGEST_ANSWER = 64 * 2 ** 20;
const TIMEOUT = 60_000;

/**
 * A `fetch` for the JSON interface of the Hub: retries what may pass, keeps the token at the endpoint, and throws typed errors for
 * everything but success. Only requests without a body.
 */
export function apiFetch(params: {
  readonly access: HubAccess;
  readonly subject: HubSubject;
  readonly policy: RetryPolicy;
  readonly transport?: HttpSend | undefined;
}): typeof globalThis.fetch {
  const { access, subject, policy, transport } = params;
  return async (input, init) => {
    const { url, headers } = new Request(input, init);
    return withRetries(policy, async () => {
      const timeout = AbortSignal.timeout(TIMEOUT);
      const signal = policy.signal === undefined ? timeout : AbortSignal.any([policy.signal, timeout]);
      let response: HttpAnswer;
      let text: string;
      try {
        ({ response } = await send({
          access,
          url,
          headers: Object.fromEntries(headers),
          signal,
          transport,
        }));
        text = await readText(response);
      } catch (cause) {
        policy.signal?.throwIfAborted();
        if (cause instanceof QuernError) throw cause;
        const error = unreachable({ id: subject.id, url, reads: true, cause });
        throw new TransientFailure(error, connectionFailure(cause));
      }
      if (response.status < 300)
        return new Response(text, { status: response.status, headers: [...response.headers] });
      const error = refusal({ access, response, subject });
      throw isTransient(response.status)
        ? new TransientFailure(error, statusLine(response), retryAfterOf(response.headers))
        : error;
    });
  };
}

async function readText(response: HttpAnswer): Promise<string> {
  const decoder = new TextDecoder();
  let size = 0;
  let text = "";
  await response.readBody((piece) => {
    size += piece.byteLength;
    if (size > LARGEST_ANSWER) {
      throw new QuernError("HUB_RESPONSE_INVALID", `The Hub answers with more than ${LARGEST_ANSWER} bytes.`);
    }
    text += decoder.decode(piece, { stream: true });
  });
  return text + decoder.decode();
}
