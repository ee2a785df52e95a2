import { createHash } from "node:crypto";
import { readdir, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { shardVersion } from "@quern/checkpoints/node";
import type { HiddenStates, RunnableModel } from "@quern/inference";

/**
 * Hidden states beside the file that is made, so that a later run can go on behind the last block that is complete. Their names have a
 * hash of the files of the weights: after these have changed, nothing is gone on with.
 */
export class SavedStates {
  readonly #output: string;
  readonly #weights: string;

  private constructor(output: string, weights: string) {
    this.#output = output;
    this.#weights = weights;
  }

  /** @param params.key What else decides what they are. */
  static async of(params: { output: string; model: RunnableModel; key?: string }): Promise<SavedStates> {
    const { output, model, key = "" } = params;
    const hash = createHash("sha256");
    for (const shard of model.source.shards) hash.update(JSON.stringify(await shardVersion(shard)));
    hash.update(key);
    return new SavedStates(output, hash.digest("hex").slice(0, 16));
  }

  /** Those before a block. */
  path(block: number): string {
    return `${this.#output}.hidden-${block}-${this.#weights}`;
  }

  async has(block: number): Promise<boolean> {
    return stat(this.path(block)).then(
      (stats) => stats.isFile(),
      () => false,
    );
  }

  async save(block: number, states: HiddenStates): Promise<void> {
    await states.save(this.path(block));
  }

  /** Removes all but those before some blocks. */
  async keepOnly(blocks: readonly number[]): Promise<void> {
    const folder = dirname(this.#output);
    const prefix = `${basename(this.#output)}.hidden-`;
    const kept = blocks.map((block) => basename(this.path(block)));
    for (const name of await readdir(folder).catch(() => [])) {
      if (
        name.startsWith(prefix) &&
        /^\d+-[0-9a-f]{16}(\.partial)?$/.test(name.slice(prefix.length)) &&
        !kept.includes(name)
      ) {
        await rm(join(folder, name), { force: true });
      }
    }
  }
}
