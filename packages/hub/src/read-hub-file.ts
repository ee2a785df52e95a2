import { type HttpSend, QuernError } from "@quern/tensor";
import type { HubAccess } from "./access.ts";
import { hubFileName, type HubFileLocation, openHubFile } from "./hub-file.ts";
import type { HubPatience } from "./patience.ts";

/**
 * Reads a file whole and checks its hash.
 *
 * @throws QuernError `HUB_FILE_CORRUPT`, and what reads of {@link openHubFile} throw
 */
export async function readHubFile(params: {
  readonly location: HubFileLocation;
  readonly access: HubAccess;
  readonly patience?: HubPatience;
  readonly signal?: AbortSignal | undefined;
  readonly transport?: HttpSend | undefined;
}): Promise<Uint8Array> {
  const { location } = params;
  const source = await openHubFile(params);
  const bytes = await source.read(0, location.size);
  await source.close();
  const hash = await hashOf(location.etag, bytes);
  if (hash === location.etag) return bytes;
  const name = hubFileName(location);
  throw new QuernError(
    "HUB_FILE_CORRUPT",
    `${name}: the bytes that came have the hash ${hash}, the repository lists ${location.etag}`,
    { subject: { file: name } },
  );
}

/** Large files are known by the SHA-256 of their bytes, others as git objects: SHA-1 of a header and their bytes. */
async function hashOf(expected: string, bytes: Uint8Array): Promise<string> {
  const isGit = expected.length === 40;
  const header = new TextEncoder().encode(isGit ? `blob ${bytes.byteLength}\0` : "");
  const content = new Uint8Array(header.byteLength + bytes.byteLength);
  content.set(header);
  content.set(bytes, header.byteLength);
  const digest = await crypto.subtle.digest(isGit ? "SHA-1" : "SHA-256", content);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
