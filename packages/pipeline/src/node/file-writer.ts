import { type FileHandle, open } from "node:fs/promises";
import { QuernError } from "@quern/tensor";
import { checksumRange, hashRange, reportingAs, writeAt } from "@quern/tensor/node";

/** A file that is there. */
export interface WrittenFile {
  /** What errors call it. */
  readonly path: string;
  /** What it is called now. */
  readonly name: string;
}

/** Writes into files that are there, and reads what has been written, opening each once, when it is first needed. */
export class FileWriter {
  readonly #files: readonly WrittenFile[];
  readonly #open = new Map<number, Promise<FileHandle>>();

  constructor(files: readonly WrittenFile[]) {
    this.#files = files;
  }

  /** Writes all bytes at `offset` of the file with that index. */
  async write(file: number, bytes: Uint8Array, offset: number): Promise<void> {
    await writeAt({ handle: await this.#handle(file), path: this.#files[file]!.path, bytes, offset });
  }

  /** @throws QuernError `OUTPUT_WRITE_FAILED` where the file ends before */
  async read(file: number, offset: number, size: number): Promise<Uint8Array> {
    const { path } = this.#files[file]!;
    const handle = await this.#handle(file);
    const bytes = new Uint8Array(size);
    for (let done = 0; done < size;) {
      const { bytesRead } = await reportingAs(path, () =>
        handle.read(bytes, done, size - done, offset + done),
      );
      if (bytesRead === 0) {
        throw new QuernError("OUTPUT_WRITE_FAILED", `${path}: it ends at byte ${offset + done}`, {
          subject: { file: path, offset: offset + done },
        });
      }
      done += bytesRead;
    }
    return bytes;
  }

  /** CRC-32 of what has been written to a range of the file with that index. */
  async checksum(file: number, offset: number, size: number): Promise<string> {
    return checksumRange({ handle: await this.#handle(file), path: this.#files[file]!.path, offset, size });
  }

  /** SHA-256 of what has been written to a range of the file with that index. */
  async hash(file: number, offset: number, size: number): Promise<string> {
    return hashRange({ handle: await this.#handle(file), path: this.#files[file]!.path, offset, size });
  }

  #handle(file: number): Promise<FileHandle> {
    const { path, name } = this.#files[file]!;
    const known = this.#open.get(file);
    if (known !== undefined) return known;
    const opening = reportingAs(path, () => open(name, "r+"));
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
