import { type HttpAnswer, type HttpFields, type HttpSend, QuernError, sendByFetch } from "@quern/tensor";
import { type HubAccess, withoutToken } from "./access.ts";

const MOST_REDIRECTS = 5;

/** An answer, and the address that gave it. */
export interface HubResponse {
  readonly response: HttpAnswer;
  readonly url: string;
  /** Headers of the endpoint's last answer, whether it redirected to another host or not; undefined where it was not asked. */
  readonly endpointHeaders: HttpFields | undefined;
}

/**
 * Sends a request and follows redirects. The token goes to the origin of the endpoint alone.
 *
 * @param params.transport What sends each request. @default fetch
 * @throws QuernError `HUB_REDIRECT_INVALID` for a redirect from https to http, to nowhere, or one too many; what the transport throws
 */
export async function send(params: {
  readonly access: HubAccess;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  readonly transport?: HttpSend | undefined;
}): Promise<HubResponse> {
  const { access, headers, signal, transport = sendByFetch({ fetch }) } = params;
  let { url } = params;
  let endpointHeaders: HttpFields | undefined;
  for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects++) {
    const isEndpoint = new URL(url).origin === new URL(access.endpoint).origin;
    const authorization = isEndpoint && access.token !== undefined;
    const response = await transport(url, {
      headers: { ...headers, ...(authorization ? { authorization: `Bearer ${access.token}` } : {}) },
      signal,
    });
    if (isEndpoint) endpointHeaders = response.headers;
    if (response.status < 300 || response.status >= 400) {
      const statusText = withoutToken(access, response.statusText);
      return { response: { ...response, statusText }, url, endpointHeaders };
    }
    await response.cancel();
    url = redirectTarget(url, response.headers.get("location"));
  }
  throw redirectInvalid(params.url, `after ${MOST_REDIRECTS} redirects there is another one`);
}

function redirectTarget(from: string, location: string | null): string {
  if (location === null || !URL.canParse(location, from)) {
    throw redirectInvalid(from, "a redirect says no address");
  }
  const target = new URL(location, from);
  const isWeb = target.protocol === "https:" || target.protocol === new URL(from).protocol;
  if (!isWeb) throw redirectInvalid(from, `a redirect leads from https to ${target.protocol}`);
  return target.href;
}

/** Addresses of files at other hosts hold signatures: only the host is told. */
function redirectInvalid(url: string, problem: string): QuernError {
  return new QuernError("HUB_REDIRECT_INVALID", `${new URL(url).host}: ${problem}`);
}
