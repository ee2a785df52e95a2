import { type FileHandle, open } from "node:fs/promises";
import { reportingAs, writeAt } from "@quern/tensor/node";

/** Writes into files that are there, opening each once, when it is first needed. */
export class FileWriter {
  readonly #paths: readonly string[];
  readonly #nameOf: (path: string) => string;
  readonly #open = new Map<number, Promise<FileHandle>>();

  /**
   * @param paths What errors call the files.
   * @param nameOf What they are called while they are written. @default the same
   */
  constructor(paths: readonly string[], nameOf: (path: string) => string = (path) => path) {
    this.#paths = paths;
    this.#nameOf = nameOf;
  }

  /** Writes all bytes at `offset` of the file with that index. */
  async write(file: number, bytes: Uint8Array, offset: number): Promise<void> {
    const path = this.#paths[file]!;
    let opening = this.#open.get(file);
    if (opening === undefined) {
      opening = reportingAs(path, () => open(this.#nameOf(path), "r+"));
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
