import { type HttpAnswer, type HttpFields, type HttpSend, QuernError } from "@quern/tensor";
import type { HubFileLocation } from "./hub-file.ts";
import type { HubAccess } from "./access.ts";
import { isTransient, refusal } from "./failures.ts";
import { send } from "./send.ts";

/** What a host of files answers once the signature in the address has expired, or the file has moved. */
const EXPIRED: ReadonlySet<number> = new Set([400, 401, 403, 404, 410]);

/**
 * A signature may expire, or its key be changed, between two requests, and while others ask anew; a file that is not at its host does not
 * come by asking on.
 */
const MOST_ATTEMPTS = 6;

/**
 * Sends requests for ranges of one file, whatever address it is given. Where the endpoint redirects is remembered, until that address is no longer good: then the endpoint
 * is asked again.
 *
 * @throws QuernError `SOURCE_CHANGED` when the endpoint has another version of the file, `HUB_*` when it refuses
 */
export function fileSend(params: {
  readonly access: HubAccess;
  readonly location: HubFileLocation;
  readonly name: string;
  readonly transport?: HttpSend | undefined;
}): HttpSend {
  const { access, location, name, transport } = params;
  const { endpoint, id, commit, path } = location;
  const resolveUrl = `${endpoint}/${id}/resolve/${commit}/${path.split("/").map(encodeURIComponent).join("/")}`;
  const isEndpoint = (url: string): boolean => new URL(url).origin === new URL(endpoint).origin;
  let target: string | undefined;
  const isSuccess = ({ status }: HttpAnswer): boolean => status >= 200 && status < 300;
  return async (_, init) => {
    // Positions in a compressed body mean nothing.
    const request = {
      access,
      headers: { ...init.headers, "accept-encoding": "identity" },
      signal: init.signal,
      transport,
    };
    for (let attempt = 1; ; attempt++) {
      const known = target;
      const { response, url, endpointHeaders } = await send({ ...request, url: known ?? resolveUrl });
      if (!isEndpoint(url) && EXPIRED.has(response.status) && attempt < MOST_ATTEMPTS) {
        await response.cancel();
        // Another request may have learnt a better one meanwhile.
        if (target === known) target = undefined;
        continue;
      }
      if (known !== undefined) return response;
      if (
        isEndpoint(url) &&
        !isSuccess(response) &&
        response.status !== 416 &&
        !isTransient(response.status)
      ) {
        await response.cancel();
        throw refusal({ access, response, subject: { id, revision: commit, path } });
      }
      if (isSuccess(response) || !isEndpoint(url)) {
        try {
          checkVersion(endpointHeaders, location, name);
        } catch (error) {
          await response.cancel();
          throw error;
        }
      }
      if (!isEndpoint(url) && isSuccess(response)) target = url;
      return response;
    }
  };
}

/**
 * An address that is given once is good for many answers: what they are of is checked where it is given, by hash and size.
 *
 * @throws QuernError `SOURCE_CHANGED`, `HUB_RESPONSE_INVALID` when the endpoint does not say which version it has
 */
function checkVersion(headers: HttpFields | undefined, { etag, size }: HubFileLocation, name: string): void {
  const version = versionOf(headers);
  if (version === undefined) {
    throw new QuernError(
      "HUB_RESPONSE_INVALID",
      `${name}: the Hub does not say which version of the file it has: expected its hash as X-Linked-ETag or ETag`,
      { subject: { file: name } },
    );
  }
  const linkedSize = headers?.get("x-linked-size") ?? null;
  const changed =
    version !== etag
      ? `its ETag was "${etag}", now it is "${version}"`
      : linkedSize !== null && Number(linkedSize) !== size
        ? `its size was ${size}, now it is ${linkedSize}`
        : undefined;
  if (changed === undefined) return;
  throw new QuernError("SOURCE_CHANGED", `${name}: the file changed since it was opened: ${changed}`, {
    subject: { file: name },
  });
}

/** The Hub's own ETag, which is the hash of the file: that of the answer may be another host's. */
function versionOf(headers: HttpFields | undefined): string | undefined {
  const etag = headers?.get("x-linked-etag") ?? headers?.get("etag");
  return etag?.replace(/^W\//, "").replaceAll('"', "");
}
