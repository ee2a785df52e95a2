import { type FileHandle, open } from "node:fs/promises";
import { hashRange, reportingAs, writeAt } from "@quern/tensor/node";

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
    await writeAt({ handle: await this.#handle(file), path: this.#paths[file]!, bytes, offset });
  }

  /** SHA-256 of what has been written to a range of the file with that index. */
  async hash(file: number, offset: number, size: number): Promise<string> {
    return hashRange({ handle: await this.#handle(file), path: this.#paths[file]!, offset, size });
  }

  #handle(file: number): Promise<FileHandle> {
    const path = this.#paths[file]!;
    const known = this.#open.get(file);
    if (known !== undefined) return known;
    const opening = reportingAs(path, () => open(this.#nameOf(path), "r+"));
    this.#open.set(file, opening);
    return opening;
  }

  async close(): Promise<void> {
    const opened = await Promise.allSettled(this.#open.values());
    this.#open.clear();
    await Promise.all(
      opened.map(async (result) => (result.status === "fulfilled" ? result.value.close() : undefined)),
    );
  }
}
