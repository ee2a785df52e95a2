import {
  type HubAccess,
  type HubFileLocation,
  hubFileName,
  type HubPatience,
  type HubRepository,
  openRepository,
  parseHubReference,
} from "@quern/hub";
import {
  findCachedFile,
  type HubCache,
  keepRepository,
  openCachedRepository,
  openStoredFile,
  readStoredFile,
  sendByNode,
  shareReading,
} from "@quern/hub/node";
import { bytesSource, QuernError } from "@quern/tensor";
import type { Checkpoint, CheckpointFileSet } from "../checkpoint.ts";
import { checkRelative } from "./contained-path.ts";
import { openCheckpoint } from "./open-checkpoint.ts";
import { checkSmallFile } from "./small-file.ts";
import { findWeightFiles } from "./weight-files.ts";

export interface HubCheckpointOptions {
  readonly access: HubAccess;
  /** The shared cache: files that are complete there are read there. Default: none. */
  readonly cache?: HubCache;
  readonly patience?: HubPatience;
  /** Ends opening; reading weights later has its own ways to be stopped. */
  readonly signal?: AbortSignal;
}

/**
 * Opens a repository of the Hub as a checkpoint: finds the commit, lists files, reads and checks the headers of all shards by range, and
 * no weights. Whatever a branch becomes meanwhile, all is read from that commit.
 *
 * Stores nothing, unless the cache keeps files: then those that are read whole, but no weights, which `keepHubCheckpoint` brings there.
 *
 * @param reference "hf:org/name" or "hf:org/name@revision".
 * @throws QuernError `HUB_*` of `openRepository`, `openCachedRepository`, `readStoredFile` and `openHubFile`,
 * `CHECKPOINT_NO_SAFETENSORS`, `CHECKPOINT_NO_WEIGHTS`, `SAFETENSORS_*`, `SOURCE_*`
 */
export async function openHubCheckpoint(
  reference: string,
  options: HubCheckpointOptions,
): Promise<Checkpoint> {
  const { signal, ...reading } = options;
  const { access, cache } = reading;
  const repository = await openListed(reference, options);
  const { id, commit, files, partial } = repository;
  if (partial) checkCachedWeights(repository, cache);
  shareReading({ endpoint: access.endpoint, id }, reading);

  const read = async (file: HubFileLocation): Promise<Uint8Array> => {
    checkSmallFile({ name: hubFileName(file), size: file.size });
    return readStoredFile({ location: file, reading, signal });
  };
  const fileSet = repositoryFiles({ id, files, read });
  const index = await findWeightFiles({
    name: `hf:${id}`,
    list: async () => fileSet.list(""),
    open: async (name) => {
      const file = files.get(name);
      return file === undefined
        ? undefined
        : bytesSource({ bytes: await read(file), name: hubFileName(file) });
    },
  });
  const checkpoint = await openCheckpoint({
    location: `${access.endpoint}/${id}/tree/${commit}`,
    files: fileSet,
    index,
    openShard: async (name) => {
      const location = files.get(name);
      if (location === undefined) {
        throw new QuernError("SOURCE_NOT_FOUND", `hf:${id}: the repository has no file ${name}`, {
          subject: { file: `hf:${id}/${name}` },
        });
      }
      const copy = cache && (await findCachedFile({ cache, location }));
      const source = await openStoredFile({ location, reading, signal });
      return { location, source, ...(copy === undefined ? {} : { copy }) };
    },
  });
  return { ...checkpoint, ...(partial && { partial }) };
}

/** @throws QuernError `HUB_NOT_CACHED` where nobody can tell whether the repository has weights */
function checkCachedWeights({ id, files }: HubRepository, cache: HubCache | undefined): void {
  const names = [...files.keys()];
  if (names.some((name) => name.endsWith(".safetensors"))) return;
  throw new QuernError(
    "HUB_NOT_CACHED",
    `hf:${id}: the cache (${cache?.folder}) has no weights of the repository, only ${names.join(", ") || "its name"}, and nothing else may be asked offline. Once with --cache and a network would bring them there.`,
    { subject: { file: `hf:${id}` } },
  );
}

async function openListed(
  text: string,
  { access, cache, patience, signal }: HubCheckpointOptions,
): Promise<HubRepository> {
  const reference = parseHubReference(text);
  if (cache?.offline) return openCachedRepository({ reference, access, cache });
  const repository = await openRepository({
    reference,
    access,
    transport: sendByNode,
    ...(patience && { patience }),
    ...(signal && { signal }),
  });
  if (cache?.keep) await keepRepository({ reference, repository, cache });
  return repository;
}

function repositoryFiles(params: {
  readonly id: string;
  readonly files: ReadonlyMap<string, HubFileLocation>;
  readonly read: (file: HubFileLocation) => Promise<Uint8Array>;
}): CheckpointFileSet {
  const { id, files, read } = params;
  return {
    name: id.split("/").at(-1)!,
    has(path) {
      checkRelative(path);
      return files.has(path);
    },
    size(path) {
      checkRelative(path);
      return files.get(path)?.size;
    },
    async read(path) {
      checkRelative(path);
      const file = files.get(path);
      return file === undefined ? undefined : read(file);
    },
    listed(path) {
      checkRelative(path);
      return files.get(path);
    },
    list(folder) {
      if (folder !== "") checkRelative(folder);
      const prefix = folder === "" ? "" : `${folder}/`;
      return [...files.keys()].flatMap((path) => {
        const name = path.startsWith(prefix) ? path.slice(prefix.length) : "";
        return name === "" || name.includes("/") ? [] : [name];
      });
    },
  };
}
