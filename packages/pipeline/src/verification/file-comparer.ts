import { type ByteSource, QuernError } from "@quern/tensor";
import { fileSource } from "@quern/tensor/node";

/** Compares bytes with those that are in files already, opening each once, when it is first needed. */
export class FileComparer {
  readonly #paths: readonly string[];
  readonly #open = new Map<number, Promise<ByteSource>>();

  constructor(paths: readonly string[]) {
    this.#paths = paths;
  }

  /**
   * @param file Index of the file.
   * @param offset Of the bytes in the file.
   * @returns where in the file the first byte that differs lies; undefined where there is none
   * @throws QuernError `SOURCE_*`
   */
  async differenceAt(file: number, bytes: Uint8Array, offset: number): Promise<number | undefined> {
    const source = await this.#source(file).catch((error: unknown) => {
      if (!(error instanceof QuernError) || error.code !== "SOURCE_NOT_FOUND") throw error;
    });
    // Of a file that is missing every byte differs.
    if (!source) return offset;
    const there = await source.read(offset, Math.max(0, Math.min(bytes.byteLength, source.size - offset)));
    const index = firstDifference(bytes, there);
    return index === undefined ? undefined : offset + index;
  }

  /** Compares, and throws where {@link differenceAt} gives a place. @throws QuernError `VERIFICATION_DIFFERENT` */
  async expectEqual(file: number, bytes: Uint8Array, offset: number): Promise<void> {
    const at = await this.differenceAt(file, bytes, offset);
    if (at !== undefined) throw differenceError(file, at);
  }

  /** What is there. @throws QuernError `SOURCE_*` */
  async read(file: number, offset: number, size: number): Promise<Uint8Array> {
    const source = await this.#source(file);
    return source.read(offset, size);
  }

  async close(): Promise<void> {
    const opened = await Promise.allSettled(this.#open.values());
    this.#open.clear();
    await Promise.all(
      opened.map(async (result) => (result.status === "fulfilled" ? result.value.close() : undefined)),
    );
  }

  #source(file: number): Promise<ByteSource> {
    const known = this.#open.get(file);
    if (known !== undefined) return known;
    const opening = fileSource({ path: this.#paths[file]! });
    this.#open.set(file, opening);
    return opening;
  }
}

/** Index of the first byte that differs; where one ends before the other, that is the first that it lacks. */
export function firstDifference(a: Uint8Array, b: Uint8Array): number | undefined {
  const length = Math.min(a.byteLength, b.byteLength);
  if (Buffer.compare(a, b) === 0) return undefined;
  for (let index = 0; index < length; index++) if (a[index] !== b[index]) return index;
  return length;
}

/** A difference on its way from a thread: which file, and where. */
const DIFFERENT = "VERIFICATION_DIFFERENT";

function differenceError(file: number, offset: number): QuernError {
  return new QuernError(DIFFERENT, `bytes differ at offset ${offset}`, {
    subject: { file: String(file), offset },
  });
}

/** The place that {@link FileComparer.expectEqual} has thrown; undefined for any other error. */
export function differenceOf(error: unknown): { file: number; offset: number } | undefined {
  if (!(error instanceof QuernError) || error.code !== DIFFERENT) return undefined;
  return { file: Number(error.subject.file), offset: error.subject.offset! };
}
