import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { basename, join, relative, sep } from "node:path";
import { QuernError } from "@quern/tensor";
import type { HubAccess } from "../access.ts";
import type { HubFileLocation } from "../hub-file.ts";
import { type HubRepository, repositoryFile } from "../open-repository.ts";
import type { HubReference } from "../reference.ts";
import { DEFAULT_REVISION, type HubCache, replaceFile, RepositoryCache } from "./cache-layout.ts";

/** The only version there is of what huggingface_hub writes to `trees/<commit>.json`. */
const TREE_VERSION = 1;

const COMMIT = /^[0-9a-f]{40}$/;

interface TreeFile {
  readonly size: number;
  /** Hash of the git object; for large files that of the object which stands for them. */
  readonly blob_id: string;
  readonly lfs_sha256?: string;
  readonly lfs_size?: number;
}

/**
 * What the cache knows of a repository: the commit that a branch or tag was when it was last asked for, and the files of that commit:
 * all of them where the listing was kept, else those that are there.
 *
 * @throws QuernError `HUB_NOT_CACHED`
 */
export async function openCachedRepository(params: {
  readonly reference: HubReference;
  readonly access: HubAccess;
  readonly cache: HubCache;
}): Promise<HubRepository> {
  const { reference, access, cache } = params;
  const { id, revision = DEFAULT_REVISION } = reference;
  const places = new RepositoryCache(cache, { id });
  const commit = COMMIT.test(revision) ? revision : await readCommit(places.ref(revision));
  const repository = { endpoint: access.endpoint, id, commit: commit ?? "" };
  const listed = commit === undefined ? undefined : await listTree(places, repository);
  const files = commit === undefined ? undefined : (listed ?? (await listSnapshot(places, repository)));
  if (commit === undefined || files === undefined) {
    throw new QuernError(
      "HUB_NOT_CACHED",
      `hf:${id}: the cache (${cache.folder}) does not have the repository at ${JSON.stringify(revision)}, and nothing else may be asked offline. Once with --cache and a network would bring it there.`,
      { subject: { file: `hf:${id}` } },
    );
  }
  return { id, commit, files, objects: new Map(), ...(listed === undefined && { partial: true }) };
}

/** Keeps what a branch or tag is, and what its commit has. */
export async function keepRepository(params: {
  readonly reference: HubReference;
  readonly repository: HubRepository;
  readonly cache: HubCache;
}): Promise<void> {
  const { reference, repository, cache } = params;
  const { id, commit, files, objects } = repository;
  const { revision = DEFAULT_REVISION } = reference;
  const places = new RepositoryCache(cache, { id });
  if (!COMMIT.test(revision)) await replaceFile(places.ref(revision), commit);
  const entries = [...files].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const tree = entries.map(([path, { size, etag }]): [string, TreeFile] => [
    path,
    etag.length === 64
      ? { size, blob_id: objects.get(path) ?? etag, lfs_sha256: etag, lfs_size: size }
      : { size, blob_id: etag },
  ]);
  await replaceFile(
    places.tree(commit),
    JSON.stringify({ format_version: TREE_VERSION, files: Object.fromEntries(tree) }, undefined, 1),
  );
}

async function readCommit(path: string): Promise<string | undefined> {
  const text = await readFile(path, "utf8").catch(() => "");
  return COMMIT.test(text.trim()) ? text.trim() : undefined;
}

type Repository = Pick<HubFileLocation, "endpoint" | "id" | "commit">;

async function listTree(
  places: RepositoryCache,
  repository: Repository,
): Promise<Map<string, HubFileLocation> | undefined> {
  try {
    const tree = JSON.parse(await readFile(places.tree(repository.commit), "utf8")) as {
      format_version: number;
      files: Record<string, TreeFile>;
    };
    if (tree.format_version !== TREE_VERSION) return undefined;
    const listed = Object.entries(tree.files).map(([path, { size, blob_id, lfs_sha256 }]) =>
      repositoryFile(repository, { path, size, etag: lfs_sha256 ?? blob_id }),
    );
    return new Map(listed.map((file) => [file.path, file]));
  } catch {
    // Not there, or not what it should be: others write it, too.
    return undefined;
  }
}

async function listSnapshot(
  places: RepositoryCache,
  repository: Repository,
): Promise<Map<string, HubFileLocation> | undefined> {
  const snapshot = places.snapshot(repository.commit);
  const files = new Map<string, HubFileLocation>();
  const entries = await readdir(snapshot, { recursive: true, withFileTypes: true }).catch(() => undefined);
  for (const entry of entries ?? []) {
    if (!entry.isSymbolicLink()) continue;
    const link = join(entry.parentPath, entry.name);
    const path = relative(snapshot, link).split(sep).join("/");
    try {
      const target = await realpath(link);
      const { size } = await stat(target);
      files.set(path, repositoryFile(repository, { path, size, etag: basename(target) }));
    } catch {
      // A link to nowhere, or to what is no blob.
    }
  }
  return entries === undefined ? undefined : files;
}
