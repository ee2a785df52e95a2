import {
  connectionFailure,
  QuernError,
  retryAfterOf,
  type RetryPolicy,
  statusLine,
  TransientFailure,
  withRetries,
} from "@quern/tensor";
import type { HubAccess } from "../../access.ts";
import { isTransient } from "../../failures.ts";
import { unreachable } from "../../unreachable.ts";
import type { Body } from "./outgoing-body.ts";
import { sendBody } from "./send-body.ts";
import { writeRefusal } from "./write-refusal.ts";

/** What `commitIter` of the library hands to `fetch` beside what `fetch` takes. */
interface LibraryInit extends RequestInit {
  readonly progressHint?: { readonly path?: string };
}

/** The address of the host of files that was given for an upload is good no longer: another has to be asked for. */
export class ExpiredAddress extends Error {
  /** What to say when there is none. */
  readonly error: QuernError;

  constructor(error: QuernError) {
    super(error.message, { cause: error });
    this.error = error;
  }
}

/** What a host of files answers once the signature in an address has expired. */
const EXPIRED: ReadonlySet<number> = new Set([400, 401, 403, 404, 410]);

/** Two commits at the same time: the later one has to come again. */
const COLLISION: ReadonlySet<number> = new Set([409, 412]);

/** Redirects that keep method and body: those of repositories that have been renamed. */
const REDIRECT: ReadonlySet<number> = new Set([307, 308]);
const MOST_REDIRECTS = 5;

/**
 * A `fetch` for what is written to the Hub: bodies are read as they go out, what may pass is tried again, the token goes to the endpoint
 * alone, and everything but success is a typed error. Only text and blobs as bodies.
 *
 * @param params.id Of the repository that is written to.
 * @param params.fixedParent Whether commits name their parent: then a collision with another commit is an error.
 * @param params.onSent Called with the path of a large file, and how many bytes of it went out; negative when they have to go again.
 * @returns a `fetch` that throws QuernError, {@link ExpiredAddress}, or the reason of a signal
 */
export function writeFetch(params: {
  readonly access: HubAccess;
  readonly id: string;
  readonly policy: RetryPolicy;
  readonly stallTimeout: number;
  readonly fixedParent?: boolean;
  readonly onSent?: ((path: string, bytes: number) => void) | undefined;
}): typeof globalThis.fetch {
  const { access, id, policy, stallTimeout, fixedParent = false, onSent } = params;
  const isEndpoint = (url: string): boolean => new URL(url).origin === new URL(access.endpoint).origin;
  const failed = (problem: string, cause?: unknown): QuernError =>
    new QuernError("HUB_REQUEST_FAILED", `hf:${id}: ${problem}`, { subject: { file: `hf:${id}` }, cause });

  return async (input, init?: LibraryInit) => {
    const target = new URL(input instanceof Request ? input.url : input);
    const { authorization: _, ...headers } = Object.fromEntries(new Headers(init?.headers));
    const signals = [policy.signal, init?.signal ?? undefined].filter((signal) => signal !== undefined);
    const signal = signals.length === 0 ? undefined : AbortSignal.any(signals);
    const path = init?.progressHint?.path;
    const isCommit = target.pathname.includes(`/api/models/${id}/commit/`);
    // Sent a second time when the first answer is lost, it would open a second pull request.
    const opens = isCommit && target.searchParams.has("create_pr");
    const uncertain = (cause: QuernError): QuernError =>
      new QuernError(
        "HUB_COMMIT_UNCERTAIN",
        `${cause.message}; whether the pull request was opened is not known`,
        { subject: { file: `hf:${id}` }, cause },
      );

    const attempt = async (url: string, redirects = 0): Promise<Response> => {
      const token = isEndpoint(url) ? access.token : undefined;
      let sent = 0;
      const report = (bytes: number): void => {
        sent += bytes;
        if (path !== undefined) onSent?.(path, bytes);
      };
      let response: Response;
      try {
        response = await sendBody({
          url,
          method: init?.method ?? "GET",
          headers: { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
          body: (init?.body as Body | null | undefined) ?? undefined,
          signal,
          stallTimeout,
          onSent: report,
        });
      } catch (cause) {
        report(-sent);
        signal?.throwIfAborted();
        if (cause instanceof QuernError) throw cause;
        const error = unreachable({ id, url, reads: false, cause });
        throw opens ? uncertain(error) : new TransientFailure(error, connectionFailure(cause));
      }
      if (response.ok) return response;
      report(-sent);
      const location = response.headers.get("location");
      if (REDIRECT.has(response.status) && location !== null && redirects < MOST_REDIRECTS) {
        const next = new URL(location, url).href;
        if (!isEndpoint(next)) throw failed("the Hub redirects to another host");
        return attempt(next, redirects + 1);
      }
      const { status } = response;
      const error = writeRefusal({ access, id, response, text: await response.text() });
      if (!isEndpoint(url) && EXPIRED.has(status)) throw new ExpiredAddress(error);
      if (opens && status >= 500) throw uncertain(error);
      const collides = isCommit && !fixedParent && COLLISION.has(status);
      throw isTransient(status) || collides
        ? new TransientFailure(error, statusLine(response), retryAfterOf(response.headers))
        : error;
    };
    return withRetries(policy, () => attempt(target.href));
  };
}
