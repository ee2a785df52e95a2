import { type HttpAnswer, QuernError } from "@quern/tensor";
import type { HubAccess } from "./access.ts";

/** What was asked for. */
export interface HubSubject {
  readonly id: string;
  readonly revision: string | undefined;
  /** File of the repository. */
  readonly path?: string;
}

/**
 * The error for an answer that refuses. `X-Error-Code` says why, where the Hub says so: huggingface_hub reads the same header
 * (`huggingface_hub/utils/_http.py`, `hf_raise_for_status`).
 */
export function refusal(params: {
  readonly access: HubAccess;
  readonly response: HttpAnswer;
  readonly subject: HubSubject;
}): QuernError {
  const { access, response, subject } = params;
  const [code, problem] = explain(access, response, subject);
  const file = `hf:${subject.id}${subject.path === undefined ? "" : `/${subject.path}`}`;
  return new QuernError(code, `${file}: ${problem}`, { subject: { file } });
}

function explain(
  { endpoint, token }: HubAccess,
  response: HttpAnswer,
  { id, revision }: HubSubject,
): readonly [code: string, problem: string] {
  const { status } = response;
  const reason = response.headers.get("x-error-code");
  const settings = `${endpoint}/settings/tokens`;
  if (reason === "GatedRepo") {
    const then =
      token === undefined
        ? `make a token at ${settings}, and give it as HF_TOKEN`
        : "and check that the token given belongs to that account and may read gated repositories";
    return [
      "HUB_GATED",
      `the repository is gated. Accept its conditions at ${endpoint}/${id} with your account, ${then}.`,
    ];
  }
  if (reason === "RevisionNotFound") {
    return ["HUB_REVISION_NOT_FOUND", `the repository has no branch, tag or commit "${revision}"`];
  }
  if (reason === "EntryNotFound") return ["HUB_FILE_NOT_FOUND", "the repository has no such file"];
  if (reason === "DisabledRepo") return ["HUB_UNAUTHORIZED", "the Hub has disabled access to the repository"];
  if (status === 401 && token !== undefined && reason !== "RepoNotFound") {
    return [
      "HUB_UNAUTHORIZED",
      `the Hub does not accept the token given (HF_TOKEN, or the token file): make another one at ${settings}`,
    ];
  }
  if (status === 401 || status === 404 || reason === "RepoNotFound") {
    const otherwise =
      token === undefined
        ? `If it is private, give a token of an account that may read it as HF_TOKEN (${settings}).`
        : "If it is private, the account of the token given may not read it.";
    return ["HUB_REPOSITORY_NOT_FOUND", `${endpoint} has no model repository of this name. ${otherwise}`];
  }
  if (status === 403) {
    return ["HUB_UNAUTHORIZED", "the token given does not allow to read this repository"];
  }
  return ["HUB_REQUEST_FAILED", `the Hub answered ${status} ${response.statusText}`.trimEnd()];
}

/** Answers that say "later": what is asked for may well come with the next attempt. */
export function isTransient(status: number): boolean {
  return status >= 500 || status === 408 || status === 429;
}
