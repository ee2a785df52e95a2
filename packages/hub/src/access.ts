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
  const endpoint = checkedEndpoint(params.endpoint ?? DEFAULT_ENDPOINT);
  const token = params.token?.trim() ?? "";
  if (token === "") return { endpoint };
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new QuernError(
      "HUB_TOKEN_INVALID",
      "The token of the Hub has characters that no token has: expected one word, such as huggingface.co/settings/tokens shows.",
    );
  }
  return { endpoint, token };
}

function checkedEndpoint(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isWeb = url?.protocol === "https:" || url?.protocol === "http:";
  if (url === undefined || !isWeb || url.username !== "" || url.password !== "" || url.search !== "") {
    throw new QuernError(
      "HUB_ENDPOINT_INVALID",
      "The endpoint of the Hub (HF_ENDPOINT) is not a web address: expected one such as https://huggingface.co",
      { subject: { key: "HF_ENDPOINT" } },
    );
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}
