import { QuernError } from "@quern/tensor";

/** A Hub, and who asks. */
export interface HubAccess {
  /** URL without a slash at its end: "https://huggingface.co". */
  readonly endpoint: string;
  /** Sent to the endpoint alone, never to where it redirects, and never part of a message. */
  readonly token?: string;
}

/** The public Hub. */
export const DEFAULT_ENDPOINT = "https://huggingface.co";

/**
 * @throws QuernError `HUB_ENDPOINT_INVALID`, `HUB_TOKEN_INVALID`
 */
export function hubAccess(params: { endpoint?: string | undefined; token?: string | undefined }): HubAccess {
  const token = params.token?.trim() ?? "";
  const endpoint = checkedEndpoint(params.endpoint ?? DEFAULT_ENDPOINT, token);
  if (token === "") return { endpoint };
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new QuernError(
      "HUB_TOKEN_INVALID",
      "The token of the Hub has characters that no token has: expected one word, such as huggingface.co/settings/tokens shows.",
    );
  }
  return { endpoint, token };
}

/** What a server says, for messages: no answer should repeat a token, and no message may. */
export function withoutToken({ token }: HubAccess, text: string): string {
  return token === undefined ? text : text.replaceAll(token, "***");
}

/** Endpoints are part of messages and journals, tokens never are. */
function checkedEndpoint(text: string, token: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "https:" && url?.protocol !== "http:") {
    throw endpointInvalid("is not a web address: expected one such as https://huggingface.co");
  }
  const isSecret = url.username !== "" || url.password !== "" || (token !== "" && text.includes(token));
  if (isSecret || url.search !== "" || url.hash !== "") {
    throw endpointInvalid(
      "holds more than an address: expected no user name, password, token, ? or # in it. A token is given as HF_TOKEN.",
    );
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}

function endpointInvalid(problem: string): QuernError {
  return new QuernError("HUB_ENDPOINT_INVALID", `The endpoint of the Hub (HF_ENDPOINT) ${problem}`, {
    subject: { key: "HF_ENDPOINT" },
  });
}
