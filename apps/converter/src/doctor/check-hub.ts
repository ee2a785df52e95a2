import type { HubAccess } from "@quern/hub";
import { hubAccessOf, hubTokenFile, sendByNode } from "@quern/hub/node";
import { type HttpAnswer, QuernError } from "@quern/tensor";
import { printable } from "../format/printable.ts";
import type { Host } from "../host.ts";
import { type Finding, ok, problem, warning } from "./finding.ts";

/** Enough for a slow connection; whoever waits for a doctor has little patience. */
const TIMEOUT = 5000;
/** The answer to "who am I" has a few kilobytes. */
const LARGEST_ANSWER = 2 ** 20;
const NEW_TOKEN = "Make a new one (huggingface.co/settings/tokens) and set HF_TOKEN, or run: hf auth login";
const NEW_ENDPOINT = "Set HF_ENDPOINT to the address alone, or unset it for https://huggingface.co.";

/** Token and Hub. @param params.offline Whether nothing may be asked. */
export async function checkHub(params: {
  readonly host: Pick<Host, "env">;
  readonly offline: boolean;
}): Promise<Finding[]> {
  const { host, offline } = params;
  let access: HubAccess;
  try {
    access = await hubAccessOf(host.env);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const isAddress = error instanceof QuernError && error.code === "HUB_ENDPOINT_INVALID";
    return [isAddress ? problem("hub", message, NEW_ENDPOINT) : problem("token", message, NEW_TOKEN)];
  }
  const source = host.env["HF_TOKEN"]?.trim() ? "HF_TOKEN" : printable(hubTokenFile(host.env));
  const there = access.token === undefined ? "none; open repositories need none" : `from ${source}`;
  if (offline) return [ok("token", there), ok("hub", `${access.endpoint}: not asked (--offline)`)];
  return ask(access, there);
}

/**
 * One request tells both: whether the Hub answers, and whom it sees. It goes the way of all reading, by the same proxies; the token goes to
 * the endpoint and to no redirect.
 */
async function ask({ endpoint, token }: HubAccess, there: string): Promise<Finding[]> {
  const start = performance.now();
  let status: number;
  let text: string;
  try {
    const response = await sendByNode(`${endpoint}/api/whoami-v2`, {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(TIMEOUT),
    });
    ({ status } = response);
    text = await readText(response);
  } catch (error) {
    const why =
      error instanceof Error && error.name === "TimeoutError"
        ? `no answer in ${TIMEOUT / 1000} s`
        : causeOf(error);
    return [
      ok("token", there),
      warning(
        "hub",
        `${endpoint} cannot be reached: ${printable(why)}`,
        "Local models need no Hub. Look at the network, at proxies and at HF_ENDPOINT.",
      ),
    ];
  }
  const answered = `${endpoint}: answers in ${Math.round(performance.now() - start)} ms`;
  const hub =
    status < 300 || status === 401 || status === 403
      ? ok("hub", answered)
      : warning(
          "hub",
          `${answered} with status ${status}`,
          "Look at HF_ENDPOINT; if it is right, try again later.",
        );
  return [token === undefined ? ok("token", there) : judged({ status, text, there }), hub];
}

function judged({ status, text, there }: { status: number; text: string; there: string }): Finding {
  if (status === 401 || status === 403)
    return problem("token", `${there}, and the Hub does not accept it`, NEW_TOKEN);
  const name = status === 200 ? nameIn(text) : undefined;
  if (name === undefined)
    return warning("token", `${there}; whether it is valid could not be found out`, "Try again later.");
  return ok("token", `${there}: ${printable(name)}`);
}

function nameIn(text: string): string | undefined {
  try {
    const { name } = JSON.parse(text) as { name?: unknown };
    return typeof name === "string" ? name.slice(0, 100) : undefined;
  } catch {
    return undefined;
  }
}

async function readText(response: HttpAnswer): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  await response.readBody((piece) => {
    // What is longer is no answer to the question.
    if (text.length <= LARGEST_ANSWER) text += decoder.decode(piece, { stream: true });
  });
  return text.length > LARGEST_ANSWER ? "" : text;
}

/** The innermost reason says the most. */
function causeOf(error: unknown): string {
  const { cause = error } = error as { cause?: unknown };
  return cause instanceof Error
    ? cause.message || (cause as NodeJS.ErrnoException).code || cause.name
    : String(cause);
}
