import { type HubAccess, type HubRepository, readHubFile } from "@quern/hub";
import { sendByNode } from "@quern/hub/node";
import { FOLDER_MANIFEST, LARGEST_MANIFEST } from "@quern/manifest";
import { parseManifest } from "@quern/manifest/file";
import { QuernError } from "@quern/tensor";

/**
 * Files of the checkpoint that a repository holds, by the manifest there, that one which takes its place does not have: weights that were
 * divided otherwise would be loaded instead of the new ones.
 *
 * @param params.paths Of the new checkpoint; without a manifest among them it is none.
 * @throws QuernError what `readHubFile` throws
 */
export async function replacedFiles(params: {
  readonly there: HubRepository;
  readonly paths: ReadonlySet<string>;
  readonly access: HubAccess;
  readonly signal: AbortSignal;
}): Promise<string[]> {
  const { there, paths, access, signal } = params;
  const location = there.files.get(FOLDER_MANIFEST);
  if (location === undefined || !paths.has(FOLDER_MANIFEST) || location.size > LARGEST_MANIFEST) return [];
  const bytes = await readHubFile({ location, access, signal, transport: sendByNode });
  try {
    const { files } = parseManifest({ text: new TextDecoder().decode(bytes), file: FOLDER_MANIFEST });
    return files.map(({ name }) => name).filter((name) => there.files.has(name) && !paths.has(name));
  } catch (error) {
    // Of a newer version, or somebody else's.
    if (error instanceof QuernError) return [];
    throw error;
  }
}
