import { type ByteSource, type HttpSend, httpRangeSource } from "@quern/tensor";
import type { HubAccess } from "./access.ts";
import { fileSend } from "./file-send.ts";
import { type HubPatience, retryPolicy } from "./patience.ts";

/** A file of a repository in one version. Plain data without secrets: what another thread, or another machine, opens. */
export interface HubFileLocation {
  readonly kind: "hub";
  readonly endpoint: string;
  /** "org/name" */
  readonly id: string;
  readonly commit: string;
  /** In the repository, with forward slashes. */
  readonly path: string;
  readonly size: number;
  /** SHA-256 of the content for large files, the hash of the git object for others. */
  readonly etag: string;
}

/** Reads as long as this are one request. */
const SEGMENT = 4 * 2 ** 20;
const PARALLEL_SEGMENTS = 4;

/** What messages call a file. */
export function hubFileName({ id, path }: Pick<HubFileLocation, "id" | "path">): string {
  return `hf:${id}/${path}`;
}

/**
 * A source over a file of a repository; nothing is asked before the first read.
 *
 * Answers are checked as `httpRangeSource` does; the version of the file is checked, too, against the hash that the repository lists.
 *
 * @param params.access Of the endpoint of the location.
 * @param params.transport What sends requests, without following redirects. @default fetch
 * @returns a source whose reads throw what those of `httpRangeSource` do, and `HUB_GATED`, `HUB_UNAUTHORIZED`, `HUB_REPOSITORY_NOT_FOUND`,
 * `HUB_FILE_NOT_FOUND`, `HUB_REQUEST_FAILED`, `HUB_REDIRECT_INVALID`
 */
export async function openHubFile(params: {
  readonly location: HubFileLocation;
  readonly access: HubAccess;
  readonly patience?: HubPatience;
  readonly signal?: AbortSignal | undefined;
  readonly transport?: HttpSend | undefined;
}): Promise<ByteSource> {
  const { location, access, patience = {}, signal, transport } = params;
  const name = hubFileName(location);
  const { retries, retryDelay, onWait } = retryPolicy(patience, name, signal);
  return httpRangeSource({
    url: location.endpoint,
    name,
    size: location.size,
    send: fileSend({ access, location, name, transport }),
    segments: { size: SEGMENT, parallel: PARALLEL_SEGMENTS },
    retries,
    retryDelay,
    ...(onWait && { onWait }),
    ...(patience.stallTimeout === undefined ? {} : { stallTimeout: patience.stallTimeout }),
    ...(signal === undefined ? {} : { signal }),
  });
}
