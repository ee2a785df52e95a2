import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { checkName, partialPathOf, reportingAs, syncDirectory, writeAt } from "../output-file.ts";
import type { JournalKind } from "./kind.ts";
import { JOURNALS_IN_HAND, type JournalOwner, thisOwner } from "./owner.ts";
import { type FoundJournal, inUse } from "./read-journal.ts";

/**
 * A file of JSON lines beside work that is unfinished: the first says what the run is, each of the others that something is complete, or
 * who writes it. A line is written behind what it is about. A crash of the process loses no line; a crash of the machine may lose lines,
 * unless they were settled, or bytes that they speak of, unless these were.
 */
export class Journal<Entry extends object = object> {
  readonly path: string;
  readonly #handle: FileHandle;
  #bytes: number;
  #last: Promise<void> = Promise.resolve();

  private constructor(params: { path: string; handle: FileHandle; bytes: number }) {
    this.path = params.path;
    this.#handle = params.handle;
    this.#bytes = params.bytes;
    JOURNALS_IN_HAND.add(this.path);
  }

  /**
   * Begins a journal. Either one that lies there, of which nothing else is to be kept, or the new one has the name, whatever happens.
   *
   * @param params.identity What tells the run from others. Plain data.
   * @param params.entries What it notes from the beginning. Default: nothing.
   * @throws QuernError `OUTPUT_IN_USE` when another process began one at this moment; `OUTPUT_*` when writing fails
   */
  static async begin<Identity extends object, Entry extends object>(params: {
    path: string;
    kind: JournalKind<Identity, Entry>;
    identity: Identity;
    entries?: readonly Entry[];
  }): Promise<Journal<Entry>> {
    const { path, kind, identity, entries = [] } = params;
    const { format, version } = kind;
    const temporary = partialPathOf(path);
    const handle = await reportingAs(path, async () => {
      await mkdir(dirname(path), { recursive: true });
      await rm(temporary, { force: true });
      return asked(path, "EEXIST", () => open(temporary, "wx+"));
    });
    const journal = new Journal<Entry>({ path, handle, bytes: 0 });
    try {
      for (const line of [{ format, version, identity }, ...entries]) await journal.#add(line);
      await journal.#claim();
      await reportingAs(path, async () => {
        await handle.sync();
        await asked(path, "ENOENT", () => rename(temporary, path));
      });
      await syncDirectory(dirname(path));
      return journal;
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      await journal.remove();
      throw error;
    }
  }

  /**
   * Goes on with a journal behind its last whole line.
   *
   * @throws QuernError `OUTPUT_*` when writing fails
   */
  static async resume<Entry extends object>({
    path,
    bytes,
  }: Pick<FoundJournal<object, Entry>, "path" | "bytes">): Promise<Journal<Entry>> {
    const handle = await reportingAs(path, async () => {
      // Another run may have ended while it began a journal in place of this.
      await rm(partialPathOf(path), { force: true });
      return open(path, "r+");
    });
    const journal = new Journal<Entry>({ path, handle, bytes });
    try {
      await reportingAs(path, () => handle.truncate(bytes));
      await journal.#claim();
      return journal;
    } catch (error) {
      await journal.close();
      throw error;
    }
  }

  /** Bytes of its whole lines. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a line. @param entry Plain data. */
  append(entry: Entry): Promise<void> {
    return this.#add(entry);
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
    await this.#add({ closed: true }).catch(() => undefined);
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

  async #claim(): Promise<void> {
    const line: { readonly owner: JournalOwner } = { owner: await thisOwner() };
    await this.#add(line);
  }

  #add(line: object): Promise<void> {
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
    const written = this.#last.then(async () => {
      await writeAt({ handle: this.#handle, path: this.path, bytes, offset: this.#bytes });
      this.#bytes += bytes.byteLength;
    });
    // What comes behind a line that is missing is not read.
    this.#last = written;
    written.catch(() => undefined);
    return written;
  }
}

/** Runs what another process makes impossible that begins a journal of this name at the same moment. */
async function asked<T>(path: string, code: string, operation: () => Promise<T>): Promise<T> {
  return operation().catch((error: NodeJS.ErrnoException) => {
    throw error.code === code ? inUse(path, "another process has begun to write this") : error;
  });
}
