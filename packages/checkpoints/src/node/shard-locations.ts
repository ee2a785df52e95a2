import { stat } from "node:fs/promises";
import { type ByteSource, QuernError } from "@quern/tensor";
import { fileSource } from "@quern/tensor/node";
import type { CheckpointShard, ShardLocation } from "../checkpoint.ts";

/** What can be done with a kind of location. */
interface LocationKind<Location extends ShardLocation> {
  /** @param name What messages call the shard. */
  open(location: Location, name: string): Promise<ByteSource>;
  /** Plain data that differs when the content may have changed. */
  version(location: Location): Promise<readonly (string | number)[]>;
  /** Path, where it is a file of this machine. */
  path(location: Location): string | undefined;
}

const KINDS: {
  readonly [Kind in ShardLocation["kind"]]: LocationKind<Extract<ShardLocation, { kind: Kind }>>;
} = {
  file: {
    open: ({ path }, name) => fileSource({ path, name }),
    async version({ path }) {
      const { size, mtimeMs } = await stat(path);
      return [path, size, mtimeMs];
    },
    path: ({ path }) => path,
  },
  hub: {
    async open(location) {
      // Threads load it only where there is something to read over the network.
      const { openStoredFile, sharedReading } = await import("@quern/hub/node");
      return openStoredFile({ location, reading: sharedReading(location) });
    },
    version: async ({ endpoint, id, path, etag }) => [endpoint, id, path, etag],
    path: () => undefined,
  },
};

function kindOf<Location extends ShardLocation>({ kind }: Location): LocationKind<Location> {
  return KINDS[kind] as unknown as LocationKind<Location>;
}

/**
 * Opens a shard, wherever it is.
 *
 * @throws QuernError `CHECKPOINT_CHANGED` when it has another size than it had, and what opening throws
 */
export async function openShard({ name, location, size }: CheckpointShard): Promise<ByteSource> {
  const source = await kindOf(location).open(location, name);
  if (source.size === size) return source;
  await source.close();
  throw new QuernError(
    "CHECKPOINT_CHANGED",
    `${name}: ${source.size} bytes, but there were ${size} when it was opened`,
    { subject: { file: name } },
  );
}

/** Plain data about a shard that differs when its content may have changed. */
export function shardVersion({ location }: CheckpointShard): Promise<readonly (string | number)[]> {
  return kindOf(location).version(location);
}

/** Paths of the shards that are files of this machine: what must not be written over. */
export function localPaths(shards: readonly CheckpointShard[]): string[] {
  return shards.flatMap((shard) => localPath(shard) ?? []);
}

/** Bytes of tensors that come over the network. */
export function remoteBytes(
  tensors: Iterable<{ readonly shard: string; readonly size: number }>,
  shards: readonly CheckpointShard[],
): number {
  const remote = new Set(shards.flatMap((shard) => (localPath(shard) === undefined ? [shard.name] : [])));
  let bytes = 0;
  for (const { shard, size } of tensors) if (remote.has(shard)) bytes += size;
  return bytes;
}

function localPath({ location, copy }: CheckpointShard): string | undefined {
  return copy ?? kindOf(location).path(location);
}
