import type { HttpSend } from "@quern/tensor";
import { hasProxy } from "./proxies.ts";
import { sendByConnection } from "./send-by-connection.ts";
import { sendThroughProxy } from "./send-through-proxy.ts";

/** Without a word on encodings, servers may choose any (RFC 9110, section 12.5.3), and connections decode none. */
const USUAL_HEADERS = { accept: "*/*", "accept-encoding": "identity", "user-agent": "quern" };

/**
 * Sends GET requests in Node: through the proxies of the environment where there are any, else by connections that read bodies to where
 * they belong.
 *
 * @throws QuernError `HUB_PROXY_INVALID`; what connections throw
 */
export const sendByNode: HttpSend = async (url, { headers, signal }) => {
  const send = hasProxy() ? sendThroughProxy : sendByConnection;
  return send(url, { headers: { ...USUAL_HEADERS, ...headers }, signal });
};
