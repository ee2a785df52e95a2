import { stat } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import { QuernError, TransientFailure, withRetries } from "@quern/tensor";
import type { HubAccess } from "../../access.ts";
import type { HubPatience } from "../../patience.ts";
import type { PullRequest } from "./find-pull-requests.ts";
import { writePolicy } from "./policy.ts";
import { ExpiredAddress, writeFetch } from "./write-fetch.ts";
import { tokenRequired } from "./write-refusal.ts";

/** A file of a commit. */
export interface FileToCommit {
  /** In the repository, with forward slashes. */
  readonly path: string;
  /** A file on this machine by its absolute path, or a text. */
  readonly content: { readonly file: string } | { readonly text: string };
}

/** News of a commit. */
export type CommitEvent =
  | {
      readonly type: "upload:hash";
      readonly path: string;
    }
  | {
      readonly type: "upload:progress";
      readonly path: string;
      /** Bytes of this file that went out, or are known to be there already. */
      readonly done: number;
      readonly total: number;
    }
  | { readonly type: "upload:commit" };

export interface CommittedFiles {
  /** Full hash. */
  readonly commit: string;
  readonly pullRequest?: PullRequest;
}

export interface CommitFilesParams {
  readonly access: HubAccess;
  /** "org/name" */
  readonly id: string;
  readonly title: string;
  readonly description?: string;
  readonly files: readonly FileToCommit[];
  /** Paths of files that the commit removes. @default none */
  readonly removed?: readonly string[];
  /** @default "main" */
  readonly branch?: string;
  /** Commit that the branch has to be at, or nothing happens. */
  readonly parent?: string;
  /** Opens a pull request with the commit instead of adding it to the branch. @default false */
  readonly openPullRequest?: boolean;
  readonly patience?: HubPatience | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called for every event, in order. */
  readonly onEvent?: (event: CommitEvent) => void;
}

/** New addresses that are asked for when those of an upload have expired. */
const MOST_ADDRESSES = 4;

/**
 * Uploads files and adds them to a repository in one commit.
 *
 * Large files travel by the Hub's extensions to Git LFS, whole or in parts, each of which is tried again by itself. Content that the Hub
 * has already is not sent again, so that a commit that broke off goes on behind the files that arrived. Memory does not depend on sizes.
 * (`useXet` stays off: chunks of Xet are made at some 30 MB/s by one thread of JavaScript, in hundreds of megabytes of memory.)
 *
 * @throws QuernError `HUB_UNAUTHORIZED`, `HUB_REPOSITORY_NOT_FOUND`, `HUB_REVISION_NOT_FOUND`, `HUB_CONFLICT` (the branch is not at
 * `parent`), `HUB_COMMIT_UNCERTAIN` (of a pull request: it may have been opened, which `findPullRequests` tells), `HUB_REQUEST_FAILED`, `HUB_UNREACHABLE`, `HUB_RESPONSE_INVALID`, `UPLOAD_FILE_UNREADABLE`; the reason of `signal`
 */
export async function commitFiles(params: CommitFilesParams): Promise<CommittedFiles> {
  const { access, id, patience, signal } = params;
  if (access.token === undefined) throw tokenRequired(access, id);
  const { policy } = writePolicy(id, patience, signal);
  const sizes = new Map<string, number>();
  for (const { path, content } of params.files) sizes.set(path, await sizeOf(content));
  return withRetries({ ...policy, retries: MOST_ADDRESSES }, async () => {
    try {
      return await attempt(params, sizes);
    } catch (error) {
      if (error instanceof ExpiredAddress) {
        throw new TransientFailure(error.error, "the address for the upload has expired");
      }
      signal?.throwIfAborted();
      await checkUnchanged(params.files, sizes);
      if (error instanceof QuernError) throw error;
      throw new QuernError(
        "HUB_RESPONSE_INVALID",
        `hf:${id}: the answer of the Hub to a commit is not what its documentation says: ${withoutAddresses((error as Error).message)}`,
        { subject: { file: `hf:${id}` } },
      );
    }
  });
}

async function attempt(
  params: CommitFilesParams,
  sizes: ReadonlyMap<string, number>,
): Promise<CommittedFiles> {
  const { access, id, title, description, files, branch = "main", parent, patience, signal } = params;
  const { removed = [], openPullRequest = false, onEvent } = params;
  const { policy, stallTimeout } = writePolicy(id, patience, signal);
  const sent = new Map<string, number>();
  const report = (path: string, done: number): void => {
    sent.set(path, done);
    onEvent?.({ type: "upload:progress", path, done, total: sizes.get(path)! });
  };
  const { commitIter } = await import("@huggingface/hub");
  const events = commitIter({
    repo: { type: "model", name: id },
    title,
    branch,
    hubUrl: access.endpoint,
    isPullRequest: openPullRequest,
    useXet: false,
    ...(description === undefined ? {} : { description }),
    ...(parent === undefined ? {} : { parentCommit: parent }),
    ...(signal === undefined ? {} : { abortSignal: signal }),
    operations: [
      ...files.map(({ path, content }) => ({
        operation: "addOrUpdate" as const,
        path,
        content: "file" in content ? pathToFileURL(content.file) : new Blob([content.text]),
      })),
      ...removed.map((path) => ({ operation: "delete" as const, path })),
    ],
    fetch: writeFetch({
      access,
      id,
      policy,
      stallTimeout,
      fixedParent: parent !== undefined,
      onSent: (path, bytes) => report(path, (sent.get(path) ?? 0) + bytes),
    }),
  });
  for (;;) {
    const step = await events.next();
    if (step.done === true) return committed(id, step.value);
    const event = step.value;
    if (event.event === "phase") {
      if (event.phase === "committing") onEvent?.({ type: "upload:commit" });
    } else if (event.state === "hashing") {
      if (event.progress === 0) onEvent?.({ type: "upload:hash", path: event.path });
    } else if (event.progress === 1 && sent.get(event.path) !== sizes.get(event.path)) {
      // There already, or a small file that goes with the commit.
      report(event.path, sizes.get(event.path)!);
    }
  }
}

function committed(
  id: string,
  output: { commit: { oid: string }; pullRequestUrl?: string } | undefined,
): CommittedFiles {
  const { oid } = output?.commit ?? {};
  const url = output?.pullRequestUrl;
  const number = url === undefined ? undefined : /\/(\d+)\/?$/.exec(url)?.[1];
  if (
    typeof oid !== "string" ||
    !/^[0-9a-f]{40,64}$/.test(oid) ||
    (url !== undefined && number === undefined)
  ) {
    throw new QuernError(
      "HUB_RESPONSE_INVALID",
      `hf:${id}: the answer of the Hub to a commit names no commit`,
      {
        subject: { file: `hf:${id}` },
      },
    );
  }
  return {
    commit: oid,
    ...(url === undefined ? {} : { pullRequest: { url, branch: `refs/pr/${number}` } }),
  };
}

async function sizeOf(content: FileToCommit["content"]): Promise<number> {
  if ("text" in content) return Buffer.byteLength(content.text);
  try {
    return (await stat(content.file)).size;
  } catch (cause) {
    throw new QuernError(
      "UPLOAD_FILE_UNREADABLE",
      `${content.file}: the file cannot be read: ${(cause as Error).message}`,
      { subject: { file: content.file }, cause },
    );
  }
}

/** Whoever reads the files for us does not say which of them failed. @throws QuernError `UPLOAD_FILE_UNREADABLE` */
async function checkUnchanged(
  files: CommitFilesParams["files"],
  sizes: ReadonlyMap<string, number>,
): Promise<void> {
  for (const { path, content } of files) {
    const [before, now] = [sizes.get(path)!, await sizeOf(content)];
    if (now === before || "text" in content) continue;
    throw new QuernError(
      "UPLOAD_FILE_UNREADABLE",
      `${content.file}: the file has changed while it was uploaded: it had ${before} bytes, and has ${now}`,
      { subject: { file: content.file } },
    );
  }
}

/** Addresses of uploads hold signatures. */
function withoutAddresses(message: string): string {
  return message.replaceAll(/https?:\/\/\S+/g, "(address)");
}
