import { randomUUID } from "node:crypto";
import { type FileHandle, mkdir, open, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { QuernError } from "@quern/tensor";
import { createOutputSet, fileSource, reportingAs, writeAt } from "@quern/tensor/node";

const BYTES_PER_NUMBER = 4;

/**
 * What lies between two blocks: for each window its hidden states, tokens x width, in memory that all threads see. Windows beyond
 * a budget are kept in a file, which has no name where the system allows it: it is gone when the process is.
 */
export class HiddenStates {
  readonly width: number;
  /** Bytes of all windows. */
  readonly bytes: number;
  readonly #slots: readonly Slot[];
  readonly #resident: readonly Float32Array[];
  readonly #spill: SpillFile | undefined;
  readonly #free: SharedArrayBuffer[] = [];

  private constructor(params: {
    width: number;
    slots: readonly Slot[];
    resident: readonly Float32Array[];
    spill: SpillFile | undefined;
  }) {
    this.width = params.width;
    this.#slots = params.slots;
    this.#resident = params.resident;
    this.#spill = params.spill;
    this.bytes = params.slots.reduce((sum, { size }) => sum + size, 0);
  }

  /**
   * @param params.tokens Tokens of each window.
   * @param params.width Numbers for each token.
   * @param params.memory Bytes that may be kept in memory. Windows in hand come on top.
   * @param params.folder For the file of the others; it is made if need be.
   * @throws QuernError `OUTPUT_DISK_FULL`, `OUTPUT_NOT_WRITABLE`, `OUTPUT_WRITE_FAILED`
   */
  static async create(params: {
    tokens: readonly number[];
    width: number;
    memory: number;
    folder: string;
  }): Promise<HiddenStates> {
    const { tokens, width, memory, folder } = params;
    let offset = 0;
    const slots = tokens.map((count): Slot => {
      const slot = { offset, size: count * width * BYTES_PER_NUMBER };
      offset += slot.size;
      return slot;
    });
    const spilled = slots.findIndex((slot) => slot.offset + slot.size > memory);
    const residents = spilled < 0 ? slots : slots.slice(0, spilled);
    const resident = residents.map(({ size }) => new Float32Array(new SharedArrayBuffer(size)));
    const spill = spilled < 0 ? undefined : await SpillFile.create(folder, offset);
    return new HiddenStates({ width, slots, resident, spill });
  }

  /** The states of a window: to be given back with `put`, or `release` where nothing is to be stored. */
  async take(index: number): Promise<Float32Array> {
    return this.#resident[index] ?? this.#read(index);
  }

  /** Room for the states of a window that has none yet: to be given back with `put`. */
  room(index: number): Float32Array {
    return this.#resident[index] ?? this.#buffer(this.#slot(index).size);
  }

  /** Stores what `take` or `room` gave. */
  async put(index: number, hidden: Float32Array): Promise<void> {
    if (hidden === this.#resident[index]) return;
    await this.#spill!.write(asBytes(hidden), this.#slot(index).offset);
    this.release(index, hidden);
  }

  /** Gives the memory of a window back, for the next one that is read. */
  release(index: number, hidden: Float32Array): void {
    if (hidden !== this.#resident[index]) this.#free.push(hidden.buffer as SharedArrayBuffer);
  }

  /**
   * Writes everything to a file that `restore` reads; it replaces one that is there once it is complete and on disk.
   *
   * @throws QuernError `OUTPUT_*`
   */
  async save(path: string): Promise<void> {
    const set = await createOutputSet({
      files: [{ path, size: this.bytes, header: new Uint8Array(0) }],
      replace: true,
    });
    try {
      for (const [index, { offset }] of this.#slots.entries()) {
        const hidden = await this.take(index);
        await set.files[0]!.write(asBytes(hidden), offset);
        this.release(index, hidden);
      }
      await set.finish();
    } catch (error) {
      await set.abandon();
      throw error;
    }
  }

  /** @throws QuernError `HIDDEN_STATES_SIZE` for a file of other states, and `SOURCE_*` */
  async restore(path: string): Promise<void> {
    const source = await fileSource({ path });
    try {
      if (source.size !== this.bytes) {
        throw new QuernError(
          "HIDDEN_STATES_SIZE",
          `${path}: ${source.size} bytes; hidden states of these windows have ${this.bytes}`,
          { subject: { file: path } },
        );
      }
      for (const [index, { offset, size }] of this.#slots.entries()) {
        const hidden = this.room(index);
        await source.read(offset, size, asBytes(hidden));
        await this.put(index, hidden);
      }
    } finally {
      await source.close();
    }
  }

  /** Closes the file of states that had no room in memory. */
  async close(): Promise<void> {
    await this.#spill?.close();
  }

  async #read(index: number): Promise<Float32Array> {
    const { offset, size } = this.#slot(index);
    const hidden = this.#buffer(size);
    await this.#spill!.read(asBytes(hidden), offset);
    return hidden;
  }

  #buffer(size: number): Float32Array {
    const fitting = this.#free.findIndex(({ byteLength }) => byteLength === size);
    const [free] = fitting < 0 ? [] : this.#free.splice(fitting, 1);
    return new Float32Array(free ?? new SharedArrayBuffer(size));
  }

  #slot(index: number): Slot {
    const slot = this.#slots[index];
    if (slot !== undefined) return slot;
    throw new RangeError(`there is no window ${index}`);
  }
}

/** Where a window lies among all of them, in bytes. */
interface Slot {
  readonly offset: number;
  readonly size: number;
}

function asBytes({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

class SpillFile {
  readonly #handle: FileHandle;
  readonly #path: string;

  private constructor(handle: FileHandle, path: string) {
    this.#handle = handle;
    this.#path = path;
  }

  static async create(folder: string, size: number): Promise<SpillFile> {
    const path = join(folder, `.hidden-states-${randomUUID()}`);
    return reportingAs(path, async () => {
      await mkdir(dirname(path), { recursive: true });
      const handle = await open(path, "wx+", 0o600);
      // A file that is open can lose its name, but not on Windows: there `close` removes it.
      await rm(path).catch(() => undefined);
      await handle.truncate(size);
      return new SpillFile(handle, path);
    });
  }

  write(bytes: Uint8Array, offset: number): Promise<void> {
    return writeAt({ handle: this.#handle, path: this.#path, bytes, offset });
  }

  async read(bytes: Uint8Array, offset: number): Promise<void> {
    let done = 0;
    while (done < bytes.length) {
      const { bytesRead } = await this.#handle.read(bytes, done, bytes.length - done, offset + done);
      if (bytesRead === 0) throw cutOff(this.#path, offset + done);
      done += bytesRead;
    }
  }

  async close(): Promise<void> {
    await this.#handle.close();
    await rm(this.#path, { force: true });
  }
}

function cutOff(path: string, offset: number): QuernError {
  return new QuernError("SOURCE_READ_FAILED", `${path}: nothing to read at byte ${offset}`, {
    subject: { file: path, offset },
  });
}
