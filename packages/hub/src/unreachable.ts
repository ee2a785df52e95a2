import { connectionFailure, QuernError } from "@quern/tensor";

/**
 * The error where no answer came: which host was asked, why none came, and what to do.
 *
 * @param params.id Of the repository that is read or written.
 * @param params.url What was asked; of it only the host is told.
 * @param params.reads Whether something was read, which may be in the cache.
 */
export function unreachable(params: {
  readonly id: string;
  readonly url: string;
  readonly reads: boolean;
  readonly cause: unknown;
}): QuernError {
  const { id, url, reads, cause } = params;
  const otherwise = reads ? "; with --offline, what the cache has is read" : "";
  return new QuernError(
    "HUB_UNREACHABLE",
    `hf:${id}: ${new URL(url).host} cannot be reached: ${connectionFailure(cause)}. Look at the network, at HTTPS_PROXY and NO_PROXY, and at HF_ENDPOINT${otherwise}.`,
    { subject: { file: `hf:${id}` }, cause },
  );
}
