import { type ByteSource, QuernError } from "@quern/tensor";
import { decodeFloats, type ImportanceEntry, type ImportanceFile } from "./importance-file.ts";

/** More than any model has, even with each expert on its own; names and texts that are longer are not what they seem. */
const MOST_ENTRIES = 2 ** 20;
const LONGEST_NAME = 2 ** 10;
const LONGEST_DATASET = 2 ** 16;

/** An entry without a name, with one value. */
const SMALLEST_ENTRY = 4 + 4 + 4 + 4;

/**
 * Reads what is in an importance matrix in the layout of `llama-imatrix` before it wrote GGUF, little-endian: the number of entries (int32), then
 * for each the length of its name and the name, the number of calls, the number of values, and the values (float32: means times
 * calls); then, optionally, the number of chunks and the data set's name (llama.cpp v0.5.0: common/imatrix-loader.cpp).
 *
 * @throws QuernError `IMPORTANCE_INVALID`, and what the source throws
 */
export async function readLegacyImportance(source: ByteSource): Promise<ImportanceFile> {
  const cursor = new SourceCursor(source);
  const entries = new Map<string, ImportanceEntry>();
  const offsets = new Map<string, number>();
  const most = Math.min(MOST_ENTRIES, Math.floor(source.size / SMALLEST_ENTRY));
  for (let left = await cursor.int("the number of entries", { least: 1, most }); left > 0; left--) {
    const name = await cursor.text("a tensor name", LONGEST_NAME);
    const calls = await cursor.int(`the number of calls of "${name}"`, { least: 0 });
    const length = await cursor.int(`the number of values of "${name}"`, { least: 1 });
    // Of two entries of one name the last one counts.
    offsets.set(name, cursor.skip(length * 4, `the values of "${name}"`));
    entries.set(name, { name, length, counts: [calls] });
  }
  const chunks = cursor.atEnd ? 0 : await cursor.int("the number of chunks", { least: 0 });
  const dataset = cursor.atEnd ? "" : await cursor.text("the data set's name", LONGEST_DATASET);
  return {
    name: source.name,
    format: "dat",
    datasets: dataset === "" ? [] : [dataset],
    chunks,
    chunkSize: 0,
    entries,
    async readSums(name, range) {
      const { start, count } = range ?? { start: 0, count: entries.get(name)!.length };
      return decodeFloats(await source.read(offsets.get(name)! + start * 4, count * 4));
    },
  };
}

/** Reads a source front to back by small windows: what lies between large arrays that are skipped. */
class SourceCursor {
  readonly #source: ByteSource;
  #position = 0;
  #window: Uint8Array = new Uint8Array(0);
  #windowStart = 0;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  get atEnd(): boolean {
    return this.#position === this.#source.size;
  }

  /** @returns where the bytes begin that are skipped */
  skip(length: number, what: string): number {
    const start = this.#position;
    if (length > this.#source.size - start) {
      throw this.#invalid(start, `${what} of ${length} bytes goes beyond the end`);
    }
    this.#position += length;
    return start;
  }

  async int(what: string, { least, most = Infinity }: { least: number; most?: number }): Promise<number> {
    const bytes = await this.#take(4, what);
    const value = new DataView(bytes.buffer, bytes.byteOffset, 4).getInt32(0, true);
    if (value >= least && value <= most) return value;
    const upTo = most === Infinity ? "" : ` and at most ${most}`;
    throw this.#invalid(this.#position - 4, `${what} is ${value}: expected at least ${least}${upTo}`);
  }

  /** A length and a text, which ends at the first zero byte. */
  async text(what: string, longest: number): Promise<string> {
    const length = await this.int(`the length of ${what}`, { least: 0, most: longest });
    const text = new TextDecoder().decode(await this.#take(length, what));
    return text.split("\0", 1)[0]!;
  }

  async #take(length: number, what: string): Promise<Uint8Array> {
    const start = this.skip(length, what);
    if (start < this.#windowStart || start + length > this.#windowStart + this.#window.byteLength) {
      const size = Math.min(Math.max(length, WINDOW), this.#source.size - start);
      this.#window = await this.#source.read(start, size);
      this.#windowStart = start;
    }
    return this.#window.subarray(start - this.#windowStart, start - this.#windowStart + length);
  }

  #invalid(offset: number, problem: string): QuernError {
    const { name: file } = this.#source;
    const message = `${file}: not an importance matrix: ${problem} (at byte ${offset})`;
    return new QuernError("IMPORTANCE_INVALID", message, { subject: { file, offset } });
  }
}

const WINDOW = 2 ** 12;
