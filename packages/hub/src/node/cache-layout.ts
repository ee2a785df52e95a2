import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { randomUUID } from "node:crypto";
import { dirname, join } from "node:path";

/** How the cache that all tools for the Hub share is used. */
export interface HubCache {
  readonly folder: string;
  /** Whether files that are read whole are kept there. Default: what is there is used, and nothing added. */
  readonly keep?: boolean;
  /** Whether there is nothing but the cache: no request is made. */
  readonly offline?: boolean;
}

/** Revision that is meant when none is named. */
export const DEFAULT_REVISION = "main";

/**
 * Where things of a repository of models are in the cache: `blobs/<hash>`, `snapshots/<commit>/<path>` with links to them,
 * `refs/<branch or tag>` with a commit, `trees/<commit>.json` with all that there is to have (huggingface_hub,
 * docs/source/en/guides/manage-cache.md and `_tree_cache.py`).
 */
export class RepositoryCache {
  readonly #folder: string;
  readonly #locks: string;

  constructor({ folder }: Pick<HubCache, "folder">, { id }: { readonly id: string }) {
    const name = `models--${id.replaceAll("/", "--")}`;
    this.#folder = join(folder, name);
    this.#locks = join(folder, ".locks", name);
  }

  blob(etag: string): string {
    return join(this.#folder, "blobs", etag);
  }

  /** Other tools hold files `<etag>.lock` there by means that do not show. */
  lock(etag: string): string {
    return join(this.#locks, `${etag}.quern.lock`);
  }

  snapshot(commit: string): string {
    return join(this.#folder, "snapshots", commit);
  }

  link(commit: string, path: string): string {
    return join(this.snapshot(commit), path);
  }

  ref(revision: string): string {
    return join(this.#folder, "refs", revision);
  }

  tree(commit: string): string {
    return join(this.#folder, "trees", `${commit}.json`);
  }
}

/** Writes a small file so that others see it whole or not at all. */
export async function replaceFile(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    await writeFile(temporary, text);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
