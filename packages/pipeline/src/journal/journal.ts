import { type FileHandle, mkdir, open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { checkName, reportingAs, syncDirectory, writeAt } from "@quern/tensor/node";
import { inUse } from "./check-journal.ts";
import { JOURNALS_IN_HAND, thisOwner } from "./owner.ts";
import type { JournalState } from "./read-journal.ts";
import { JOURNAL_FORMAT, JOURNAL_VERSION } from "./records.ts";

/**
 * Records which tensors or layers of partial files, or of an unfinished folder, are complete: a line for each, written once its bytes are. A
 * crash of the process loses no line. A crash of the machine may lose lines, or bytes that they speak of: whoever resumes hashes everything again.
 */
export class ConversionJournal {
  readonly path: string;
  readonly #handle: FileHandle;
  /** Bytes that have been written, or are going to be. */
  #bytes: number;
  #last: Promise<void> = Promise.resolve();

  private constructor(params: { path: string; handle: FileHandle; bytes: number }) {
    this.path = params.path;
    this.#handle = params.handle;
    this.#bytes = params.bytes;
    JOURNALS_IN_HAND.add(this.path);
  }

  /**
   * Begins a journal. One that lies there, of which nothing is to be kept, is removed.
   *
   * @param identity What tells the conversion from others. Plain data.
   * @param format Says what the lines are.
   * @throws QuernError `OUTPUT_IN_USE` when another process began one at this moment; `OUTPUT_*` when writing fails
   */
  static async begin(
    path: string,
    identity: object,
    format: string = JOURNAL_FORMAT,
  ): Promise<ConversionJournal> {
    const handle = await reportingAs(path, async () => {
      await mkdir(dirname(path), { recursive: true });
      await rm(path, { force: true });
      return open(path, "wx+").catch((error: NodeJS.ErrnoException) => {
        throw error.code === "EEXIST" ? inUse(path, "another process has begun to write this") : error;
      });
    });
    return opened(new ConversionJournal({ path, handle, bytes: 0 }), {
      format,
      version: JOURNAL_VERSION,
      identity,
    });
  }

  /**
   * Goes on with a journal behind its last whole line.
   *
   * @throws QuernError `OUTPUT_*` when writing fails
   */
  static async resume({ path, bytes }: Pick<JournalState, "path" | "bytes">): Promise<ConversionJournal> {
    const handle = await reportingAs(path, () => open(path, "r+"));
    await reportingAs(path, () => handle.truncate(bytes));
    return opened(new ConversionJournal({ path, handle, bytes }));
  }

  /** Adds a line. @param record Plain data. */
  append(record: object): Promise<void> {
    const bytes = Buffer.from(`${JSON.stringify(record)}\n`);
    const offset = this.#bytes;
    this.#bytes += bytes.byteLength;
    const written = this.#last.then(() => writeAt({ handle: this.#handle, path: this.path, bytes, offset }));
    // What comes behind a line that is missing is not read.
    this.#last = written;
    written.catch(() => undefined);
    return written;
  }

  /**
   * Makes sure that the journal is on disk, and still the one that lies there.
   *
   * @throws QuernError `OUTPUT_REPLACED`, `OUTPUT_*` when writing fails
   */
  async settle(): Promise<void> {
    await this.#last;
    await reportingAs(this.path, () => this.#handle.sync());
    await checkName({ handle: this.#handle, name: this.path, path: this.path });
  }

  /** Leaves it for a later run. */
  async close(): Promise<void> {
    // That a line could not be written is known already.
    await this.append({ closed: true }).catch(() => undefined);
    JOURNALS_IN_HAND.delete(this.path);
    await this.#handle.close();
  }

  /** Closes and removes it, unless it has been replaced: there is nothing to go on with. */
  async remove(): Promise<void> {
    await this.#last.catch(() => undefined);
    const isOurs = await checkName({ handle: this.#handle, name: this.path, path: this.path }).then(
      () => true,
      () => false,
    );
    JOURNALS_IN_HAND.delete(this.path);
    await this.#handle.close();
    if (!isOurs) return;
    await reportingAs(this.path, () => rm(this.path, { force: true }));
    await syncDirectory(dirname(this.path));
  }
}

async function opened(journal: ConversionJournal, ...first: readonly object[]): Promise<ConversionJournal> {
  try {
    for (const record of first) await journal.append(record);
    await journal.append({ owner: await thisOwner() });
    return journal;
  } catch (error) {
    await (first.length > 0 ? journal.remove() : journal.close());
    throw error;
  }
}
