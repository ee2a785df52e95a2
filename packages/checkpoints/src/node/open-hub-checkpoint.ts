import {
  type HubAccess,
  type HubFileLocation,
  hubFileName,
  type HubPatience,
  openHubFile,
  openRepository,
  parseHubReference,
  readHubFile,
} from "@quern/hub";
import { findCachedFile, shareAccess } from "@quern/hub/node";
import { bytesSource, type ByteSource, QuernError } from "@quern/tensor";
import { fileSource } from "@quern/tensor/node";
import type { Checkpoint, CheckpointFileSet, ShardLocation } from "../checkpoint.ts";
import { checkRelative } from "./contained-path.ts";
import { openCheckpoint } from "./open-checkpoint.ts";
import { checkSmallFile } from "./small-file.ts";
import { findWeightFiles } from "./weight-files.ts";

export interface HubCheckpointOptions {
  readonly access: HubAccess;
  /** Folder of the shared cache: files that are complete there are read there. Default: none. */
  readonly cache?: string;
  readonly patience?: HubPatience;
  /** Ends opening; reading weights later has its own ways to be stopped. */
  readonly signal?: AbortSignal;
}

/**
 * Opens a repository of the Hub as a checkpoint: finds the commit, lists files, reads and checks the headers of all shards by range, and
 * no weights. Nothing is stored. Whatever a branch becomes meanwhile, all is read from that commit.
 *
 * @param reference "hf:org/name" or "hf:org/name@revision".
 * @throws QuernError `HUB_*` of `openRepository`, `readHubFile` and `openHubFile`, `CHECKPOINT_NO_SAFETENSORS`, `CHECKPOINT_NO_WEIGHTS`,
 * `SAFETENSORS_*`, `SOURCE_*`
 */
export async function openHubCheckpoint(
  reference: string,
  options: HubCheckpointOptions,
): Promise<Checkpoint> {
  const { access, cache, patience = {}, signal } = options;
  const remote = { access, patience, ...(signal === undefined ? {} : { signal }) };
  const repository = await openRepository({ reference: parseHubReference(reference), ...remote });
  const { id, commit, files } = repository;
  shareAccess({ endpoint: access.endpoint, id }, access);

  const open = async (file: HubFileLocation): Promise<{ location: ShardLocation; source: ByteSource }> => {
    const path = cache === undefined ? undefined : await findCachedFile({ folder: cache, location: file });
    if (path === undefined)
      return { location: file, source: await openHubFile({ location: file, ...remote }) };
    return { location: { kind: "file", path }, source: await fileSource({ path, name: hubFileName(file) }) };
  };
  const read = async (file: HubFileLocation): Promise<Uint8Array> => {
    checkSmallFile({ name: hubFileName(file), size: file.size });
    const { location, source } = await open(file);
    try {
      if (location === file) return await readHubFile({ location: file, ...remote });
      return await source.read(0, source.size);
    } finally {
      await source.close();
    }
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
  return openCheckpoint({
    location: `${access.endpoint}/${id}/tree/${commit}`,
    files: fileSet,
    index,
    openShard: async (name) => {
      const file = files.get(name);
      if (file !== undefined) return open(file);
      throw new QuernError("SOURCE_NOT_FOUND", `hf:${id}: the repository has no file ${name}`, {
        subject: { file: `hf:${id}/${name}` },
      });
    },
  });
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
