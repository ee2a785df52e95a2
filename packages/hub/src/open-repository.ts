import { type HttpSend, QuernError } from "@quern/tensor";
import type { HubAccess } from "./access.ts";
import type { HubFileLocation } from "./hub-file.ts";
import { type HubPatience, retryPolicy } from "./patience.ts";
import type { HubReference } from "./reference.ts";
import { apiFetch } from "./request-api.ts";

/** A repository at one commit: what it holds, and nothing of its files. */
export interface HubRepository {
  /** As the Hub writes it; the name now in use for a repository that has been renamed. */
  readonly id: string;
  /** Full hash: what a branch or tag was when it was opened. */
  readonly commit: string;
  /** By path. */
  readonly files: ReadonlyMap<string, HubFileLocation>;
  /** Hashes of the git objects that stand for large files, by path. */
  readonly objects: ReadonlyMap<string, string>;
  /** Whether only some may read it; absent where a cache is all that is asked. */
  readonly isPrivate?: boolean;
  /** Whether the repository may have more files than are known: a cache holds files of it, and no listing. */
  readonly partial?: true;
}

/** Repositories of models have some hundred files. */
const MOST_FILES = 100_000;

const HASH = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/**
 * Finds the commit that a reference means, and lists its files.
 *
 * @param params.transport What sends requests, without following redirects. @default fetch
 * @throws QuernError `HUB_REPOSITORY_NOT_FOUND` (missing, or private), `HUB_REVISION_NOT_FOUND`, `HUB_UNAUTHORIZED`, `HUB_REQUEST_FAILED`, `HUB_UNREACHABLE`,
 * `HUB_RESPONSE_INVALID`, `HUB_REPOSITORY_TOO_LARGE`, `HUB_REDIRECT_INVALID`; `SOURCE_ABORTED`
 */
export async function openRepository(params: {
  readonly reference: HubReference;
  readonly access: HubAccess;
  readonly patience?: HubPatience;
  readonly signal?: AbortSignal;
  readonly transport?: HttpSend;
}): Promise<HubRepository> {
  const { reference, access, patience = {}, signal, transport } = params;
  const { id, revision } = reference;
  const policy = retryPolicy(patience, `hf:${id}`, signal);
  // The library refuses tokens that do not begin with "hf_", and would send them along redirects: our fetch adds the token.
  const fetch = apiFetch({ access, subject: { id, revision }, policy, transport });
  try {
    // Threads read files and list nothing: they need not load it.
    const { listFiles, modelInfo } = await import("@huggingface/hub");
    const info = await modelInfo({
      name: id,
      additionalFields: ["sha"],
      hubUrl: access.endpoint,
      fetch,
      ...(revision === undefined ? {} : { revision }),
    });
    if (!HASH.test(info.sha)) throw invalid(id, "names no commit");
    const listed = listFiles({
      repo: { type: "model", name: info.name },
      recursive: true,
      revision: info.sha,
      hubUrl: access.endpoint,
      fetch,
    });
    const files = new Map<string, HubFileLocation>();
    const objects = new Map<string, string>();
    const repository = { id: info.name, commit: info.sha, endpoint: access.endpoint };
    for await (const entry of listed) {
      if (entry.type !== "file") continue;
      const { path, oid } = entry;
      const { oid: etag = "", size } = entry.lfs ?? entry;
      files.set(path, repositoryFile(repository, { path, size, etag }));
      if (entry.lfs !== undefined && oid !== undefined) objects.set(path, oid);
      if (files.size > MOST_FILES) {
        throw new QuernError(
          "HUB_REPOSITORY_TOO_LARGE",
          `hf:${id}: the repository has more than ${MOST_FILES} files`,
        );
      }
    }
    return { id: info.name, commit: info.sha, files, objects, isPrivate: info.private };
  } catch (error) {
    if (error instanceof QuernError) throw error;
    if (signal?.aborted) {
      throw new QuernError("SOURCE_ABORTED", `hf:${id}: reading was aborted`, { cause: signal.reason });
    }
    throw invalid(id, "is not what its documentation says", error);
  }
}

/**
 * A file as a listing names it.
 *
 * @throws QuernError `HUB_RESPONSE_INVALID` unless path, size and hash are sound
 */
export function repositoryFile(
  repository: Pick<HubFileLocation, "endpoint" | "id" | "commit">,
  entry: Pick<HubFileLocation, "path" | "size" | "etag">,
): HubFileLocation {
  const { path, size, etag } = entry;
  const parts = typeof path === "string" ? path.split("/") : [""];
  const isPath = parts.every((part) => part !== "" && part !== "." && part !== "..") && !/[\\\0]/.test(path);
  if (!isPath || !Number.isSafeInteger(size) || size < 0 || !HASH.test(etag)) {
    throw invalid(repository.id, `lists the file ${JSON.stringify(path)} without a sound path, size or hash`);
  }
  return { kind: "hub", ...repository, path, size, etag };
}

function invalid(id: string, problem: string, cause?: unknown): QuernError {
  return new QuernError("HUB_RESPONSE_INVALID", `hf:${id}: the answer of the Hub ${problem}`, {
    subject: { file: `hf:${id}` },
    cause,
  });
}
