import { stat } from "node:fs/promises";
import type { CheckpointShard } from "@quern/checkpoints";
import { QuernError } from "@quern/tensor";
import type { ModelSource } from "../plan.ts";
import { digestOf } from "./digest.ts";

/** A file of weights, told from others without reading it. */
export interface SourceFileIdentity {
  /** Relative to the checkpoint. */
  readonly name: string;
  readonly size: number;
  /** SHA-256 of names, types, shapes and places of its tensors. */
  readonly tensors: string;
  /** Of files of the Hub: SHA-256 of the content, or the hash of the git object for small ones. */
  readonly etag?: string;
  /** Of files on this machine: when it was changed last, in milliseconds since 1970. */
  readonly modified?: number;
}

/** Where weights come from. */
export interface SourceIdentity {
  /** Of the folder, file or repository, without its path. */
  readonly name: string;
  /** "hf:owner/name@commit" of a repository of the Hub. */
  readonly repository?: string;
  readonly files: readonly SourceFileIdentity[];
}

/** @throws QuernError `SOURCE_NOT_FOUND` for a file that is gone */
export async function sourceIdentity({ name, shards, tensors }: ModelSource): Promise<SourceIdentity> {
  const tables = new Map<string, unknown[]>();
  for (const { shard, name: tensor, type, shape, offset, size } of tensors.values()) {
    const table = tables.get(shard) ?? [];
    tables.set(shard, table);
    table.push([tensor, type, shape, offset, size]);
  }
  const repository = shards.map(repositoryOf).find((found) => found !== undefined);
  const files = shards.map(async (shard): Promise<SourceFileIdentity> => ({
    name: shard.name,
    size: shard.size,
    tensors: digestOf(tables.get(shard.name) ?? []),
    ...(await versionOf(shard)),
  }));
  return { name, ...(repository === undefined ? {} : { repository }), files: await Promise.all(files) };
}

function repositoryOf({ location }: CheckpointShard): string | undefined {
  return location.kind === "hub" ? `hf:${location.id}@${location.commit}` : undefined;
}

async function versionOf({
  name,
  location,
}: CheckpointShard): Promise<Pick<SourceFileIdentity, "etag" | "modified">> {
  if (location.kind === "hub") return { etag: location.etag };
  try {
    return { modified: (await stat(location.path)).mtimeMs };
  } catch (cause) {
    const message = `${name}: the file cannot be found any more`;
    throw new QuernError("SOURCE_NOT_FOUND", message, { subject: { file: name }, cause });
  }
}
