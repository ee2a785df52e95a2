import { QuernError } from "@quern/tensor";
import { type HubAccess, withoutToken } from "../../access.ts";

/** What the Hub may say of a refusal: some words of it. */
const LONGEST_REASON = 300;

/**
 * The error for an answer that refuses to create, upload or commit.
 *
 * @param params.id Of the repository that is written to: "org/name".
 * @param params.text Body of the answer.
 */
export function writeRefusal(params: {
  readonly access: HubAccess;
  readonly id: string;
  readonly response: Response;
  readonly text: string;
}): QuernError {
  const { access, id, response, text } = params;
  const [code, problem] = explain(access, id, response);
  const reason = reasonOf(text, access);
  return new QuernError(code, `hf:${id}: ${problem}${reason === "" ? "" : ` (the Hub says: ${reason})`}`, {
    subject: { file: `hf:${id}` },
  });
}

/** The error where no token is given. */
export function tokenRequired({ endpoint }: HubAccess, id: string): QuernError {
  return new QuernError(
    "HUB_UNAUTHORIZED",
    `hf:${id}: publishing needs a token with the role "write": make one at ${endpoint}/settings/tokens, and give it as HF_TOKEN or in the token file`,
    { subject: { file: `hf:${id}` } },
  );
}

/** The error for a token that may only read. */
export function writeForbidden({ endpoint }: HubAccess, id: string): QuernError {
  return new QuernError("HUB_UNAUTHORIZED", `hf:${id}: ${forbidden(endpoint, id)}`, {
    subject: { file: `hf:${id}` },
  });
}

function forbidden(endpoint: string, id: string): string {
  return `the token given may not write here: it needs the role "write" (${endpoint}/settings/tokens), and its account the right to write to ${id.split("/")[0]}`;
}

function explain(
  access: HubAccess,
  id: string,
  { status, statusText, headers }: Response,
): readonly [code: string, problem: string] {
  const { endpoint } = access;
  const reason = headers.get("x-error-code");
  if (status === 401) {
    return [
      "HUB_UNAUTHORIZED",
      `the Hub does not accept the token given (HF_TOKEN, or the token file): make another one with the role "write" at ${endpoint}/settings/tokens`,
    ];
  }
  if (status === 403) return ["HUB_UNAUTHORIZED", forbidden(endpoint, id)];
  if (reason === "RevisionNotFound") return ["HUB_REVISION_NOT_FOUND", "the repository has no such branch"];
  if (status === 404) {
    return ["HUB_REPOSITORY_NOT_FOUND", `${endpoint} has no model repository of this name to write to`];
  }
  if (status === 409 || status === 412) {
    return ["HUB_CONFLICT", "the repository was changed by somebody else meanwhile"];
  }
  return ["HUB_REQUEST_FAILED", `the Hub answered ${status} ${withoutToken(access, statusText)}`.trimEnd()];
}

function reasonOf(text: string, access: HubAccess): string {
  let reason = "";
  try {
    const { error, message } = JSON.parse(text) as { error?: unknown; message?: unknown };
    reason = [error, message].find((value) => typeof value === "string") ?? "";
  } catch {
    return "";
  }
  return withoutToken(access, reason)
    .replaceAll(/[\s\p{Cc}]+/gu, " ")
    .slice(0, LONGEST_REASON);
}
