/** Fields of a header by name, in letters of any size; those of `fetch` are such. */
export interface HttpFields extends Iterable<[name: string, value: string]> {
  /** @returns the value, those of several fields of the name separated by commas; null where there is none */
  get(name: string): string | null;
}

/** An answer whose header has come; its body comes when it is read. */
export interface HttpAnswer {
  readonly status: number;
  readonly statusText: string;
  readonly headers: HttpFields;
  /**
   * Reads the body, once.
   *
   * @param take Called with each piece in turn; the array may be used again once the call returns. What it throws ends the request.
   * @param target Where the bytes belong, one after another. Pieces may be read there at once: then `take` gets them as they lie there.
   * @throws what the connection throws, and what `take` throws
   */
  readBody(take: (piece: Uint8Array) => void, target?: Uint8Array): Promise<void>;
  /** Leaves the body, or what has not been read of it. */
  cancel(): Promise<void>;
}

/** Sends a GET request. The signal ends it, and the reading of its body. */
export type HttpSend = (
  url: string | URL,
  init: { readonly headers: Readonly<Record<string, string>>; readonly signal?: AbortSignal | undefined },
) => Promise<HttpAnswer>;

/**
 * Sends by a `fetch`.
 *
 * @param params.redirect As that of `fetch`.
 */
export function sendByFetch(params: {
  readonly fetch: typeof globalThis.fetch;
  readonly redirect?: "follow" | "manual";
}): HttpSend {
  const { fetch, redirect = "manual" } = params;
  return async (url, { headers, signal }) => {
    const response = await fetch(url, { headers, redirect, ...(signal === undefined ? {} : { signal }) });
    const { status, statusText, body } = response;
    return {
      status,
      statusText,
      headers: response.headers,
      async readBody(take) {
        if (body === null) return;
        const reader = body.getReader();
        try {
          for (let { value } = await reader.read(); value !== undefined; { value } = await reader.read()) {
            take(value);
          }
        } catch (error) {
          await reader.cancel().catch(() => undefined);
          throw error;
        }
      },
      async cancel() {
        if (body?.locked !== true) await body?.cancel().catch(() => undefined);
      },
    };
  };
}
