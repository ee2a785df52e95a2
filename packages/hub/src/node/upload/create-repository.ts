import { QuernError } from "@quern/tensor";
import type { HubAccess } from "../../access.ts";
import type { HubPatience } from "../../patience.ts";
import { writePolicy } from "./policy.ts";
import { writeFetch } from "./write-fetch.ts";
import { tokenRequired, writeForbidden } from "./write-refusal.ts";

interface Request {
  readonly access: HubAccess;
  /** "org/name" */
  readonly id: string;
  readonly patience?: HubPatience | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Finds out whose token it is, and that it is none that may only read.
 *
 * @returns name of the account
 * @throws QuernError `HUB_UNAUTHORIZED`, `HUB_REQUEST_FAILED`, `HUB_UNREACHABLE`
 */
export async function checkWriter(request: Request): Promise<{ readonly name: string }> {
  const { access, id } = request;
  if (access.token === undefined) throw tokenRequired(access, id);
  const { whoAmI } = await import("@huggingface/hub");
  const { name, auth } = await whoAmI({ ...libraryParams(request) });
  if (auth?.accessToken?.role === "read") throw writeForbidden(access, id);
  return { name };
}

/**
 * Creates a repository of a model unless it is there.
 *
 * @returns whether it was not there
 * @throws QuernError `HUB_UNAUTHORIZED`, `HUB_REQUEST_FAILED`, `HUB_UNREACHABLE`
 */
export async function createRepository(
  request: Request & {
    /** Nobody else sees it. @default what is usual for the account */
    readonly isPrivate?: boolean;
  },
): Promise<boolean> {
  const { access, id, isPrivate = false } = request;
  if (access.token === undefined) throw tokenRequired(access, id);
  const { createRepo } = await import("@huggingface/hub");
  try {
    await createRepo({
      repo: { type: "model", name: id },
      ...(isPrivate ? { visibility: "private" } : {}),
      ...libraryParams(request),
    });
    return true;
  } catch (error) {
    if (error instanceof QuernError && error.code === "HUB_CONFLICT") return false;
    throw error;
  }
}

/** The library refuses tokens that do not begin with "hf_": our fetch adds the token, whatever this one is. */
function libraryParams({ access, id, patience, signal }: Request): {
  hubUrl: string;
  accessToken: string;
  fetch: typeof globalThis.fetch;
} {
  const { policy, stallTimeout } = writePolicy(id, patience, signal);
  return {
    hubUrl: access.endpoint,
    accessToken: "hf_added_by_fetch",
    fetch: writeFetch({ access, id, policy, stallTimeout }),
  };
}
