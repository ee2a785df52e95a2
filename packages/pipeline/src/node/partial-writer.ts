import { type FileHandle, open } from "node:fs/promises";
import { partialPathOf, reportingAs, writeAt } from "@quern/tensor/node";

/** Writes into the partial files of outputs, opening each once, when it is first needed. */
export class PartialWriter {
  readonly #paths: readonly string[];
  readonly #open = new Map<number, Promise<FileHandle>>();

  /** @param paths Final paths; the partial files exist. */
  constructor(paths: readonly string[]) {
    this.#paths = paths;
  }

  /** Writes all bytes at `offset` of the file with that index. */
  async write(file: number, bytes: Uint8Array, offset: number): Promise<void> {
    const path = this.#paths[file]!;
    let opening = this.#open.get(file);
    if (opening === undefined) {
      opening = reportingAs(path, () => open(partialPathOf(path), "r+"));
      this.#open.set(file, opening);
    }
    await writeAt({ handle: await opening, path, bytes, offset });
  }

  async close(): Promise<void> {
    const opened = await Promise.allSettled(this.#open.values());
    this.#open.clear();
    await Promise.all(
      opened.map(async (result) => (result.status === "fulfilled" ? result.value.close() : undefined)),
    );
  }
}
