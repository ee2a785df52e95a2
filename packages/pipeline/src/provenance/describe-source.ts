import type { Checkpoint, CheckpointShard } from "@quern/checkpoints";
import { readGguf } from "@quern/gguf";
import type { ManifestSource, ManifestSourceFile } from "@quern/manifest";
import { isGguf } from "@quern/models";
import type { ByteSource } from "@quern/tensor";
import { fileSource, sha256Of } from "@quern/tensor/node";
import type { ModelSource } from "../plan.ts";

type Location<Kind> = Extract<CheckpointShard["location"], { readonly kind: Kind }>;

/** Files beside weights that say what they mean. */
const DESCRIPTIVE = /\.(?:json|jinja|model|txt)$|^README\.md$/;

/** Larger ones describe nothing. */
const LARGEST_FILE = 2 ** 26;

/** Bytes of the length in front of the header of safetensors. */
const LENGTH_BYTES = 8;

/**
 * What can be said of a source without reading its weights, and without saying where it lies: names, sizes, and hashes of what is known of
 * its files. Those of the Hub come from its listing.
 *
 * @throws QuernError `SOURCE_*`
 */
export async function describeManifestSource(source: ModelSource): Promise<ManifestSource> {
  const files: ManifestSourceFile[] = [];
  for (const shard of source.shards) files.push(await describeShard(shard, isGguf(source)));
  if (isGguf(source)) return { kind: "gguf", name: source.shards[0]!.name, files };
  const small = await describeSmallFiles(source);
  const { location } = source.shards[0]!;
  if (location.kind === "hub") {
    const { id, commit } = location;
    const name = `hf:${id}@${commit}`;
    return { kind: "checkpoint", name, repository: id, commit, files: [...files, ...small] };
  }
  return { kind: "checkpoint", name: source.name, files: [...files, ...small] };
}

function describeShard(
  shard: CheckpointShard,
  gguf: boolean,
): Promise<ManifestSourceFile> | ManifestSourceFile {
  const { name, location } = shard;
  return location.kind === "hub" ? ofTheHub(name, location) : ofThisMachine(shard, location, gguf);
}

function ofTheHub(name: string, { size, etag }: Location<"hub">): ManifestSourceFile {
  return { name, bytes: size, ...(etag.length === 64 ? { sha256: etag } : { gitHash: etag }) };
}

async function ofThisMachine(
  { name, size }: CheckpointShard,
  { path }: Location<"file">,
  gguf: boolean,
): Promise<ManifestSourceFile> {
  const source = await fileSource({ path, name });
  try {
    const bytes = gguf ? (await readGguf(source)).dataOffset : await safetensorsHeaderSize(source);
    return { name, bytes: size, headerSha256: sha256Of(await source.read(0, Math.min(bytes, size))) };
  } finally {
    await source.close();
  }
}

async function safetensorsHeaderSize(source: ByteSource): Promise<number> {
  const length = await source.read(0, LENGTH_BYTES);
  return LENGTH_BYTES + Number(new DataView(length.buffer, length.byteOffset).getBigUint64(0, true));
}

async function describeSmallFiles({ files, shards }: Checkpoint): Promise<ManifestSourceFile[]> {
  const weights = new Set(shards.map(({ name }) => name));
  const names = files.list("").filter((name) => DESCRIPTIVE.test(name) && !weights.has(name));
  const described: ManifestSourceFile[] = [];
  for (const name of names.toSorted()) {
    if ((files.size(name) ?? 0) > LARGEST_FILE) continue;
    const listed = files.listed?.(name);
    if (listed !== undefined) {
      described.push(ofTheHub(name, listed));
      continue;
    }
    const bytes = await files.read(name);
    if (bytes !== undefined) described.push({ name, bytes: bytes.byteLength, sha256: sha256Of(bytes) });
  }
  return described;
}
