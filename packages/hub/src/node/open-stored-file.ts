import { type ByteSource, QuernError } from "@quern/tensor";
import { fileSource } from "@quern/tensor/node";
import { hubFileName, type HubFileLocation, openHubFile } from "../hub-file.ts";
import { readHubFile } from "../read-hub-file.ts";
import { findCachedFile } from "./cached-file.ts";
import { keepHubFile } from "./keep-file.ts";
import { sendByNode } from "./send-by-node.ts";
import type { HubReading } from "./thread-access.ts";

interface Params {
  readonly location: HubFileLocation;
  readonly reading: HubReading;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A source over a file of a repository: in the cache where it is complete there, else over the network.
 *
 * @throws QuernError `HUB_NOT_CACHED` when only the cache may be used; what `fileSource` throws
 */
export async function openStoredFile({ location, reading, signal }: Params): Promise<ByteSource> {
  const { access, cache, patience } = reading;
  const path = cache && (await findCachedFile({ cache, location }));
  if (path !== undefined) return fileSource({ path, name: hubFileName(location) });
  refuseOffline({ location, reading });
  return openHubFile({ location, access, signal, transport: sendByNode, ...(patience && { patience }) });
}

/**
 * Reads a file whole: from the cache where it is there, else over the network; then it is kept where that is wanted.
 *
 * @throws QuernError `HUB_NOT_CACHED`, and what `readHubFile` and `keepHubFile` throw
 */
export async function readStoredFile({ location, reading, signal }: Params): Promise<Uint8Array> {
  const { access, cache, patience } = reading;
  const remote = { location, access, signal, transport: sendByNode, ...(patience && { patience }) };
  let path = cache && (await findCachedFile({ cache, location }));
  if (path === undefined) {
    refuseOffline({ location, reading });
    if (!cache?.keep) return readHubFile(remote);
    path = await keepHubFile({ ...remote, cache });
  }
  const source = await fileSource({ path, name: hubFileName(location) });
  try {
    return await source.read(0, source.size);
  } finally {
    await source.close();
  }
}

function refuseOffline({ location, reading: { cache } }: Pick<Params, "location" | "reading">): void {
  if (!cache?.offline) return;
  const name = hubFileName(location);
  throw new QuernError(
    "HUB_NOT_CACHED",
    `${name}: the file is not in the cache (${cache.folder}), and nothing else may be asked offline. Once with --cache and a network would bring it there.`,
    { subject: { file: name } },
  );
}
