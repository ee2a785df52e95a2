import type { StatisticsModel } from "../statistics-file/description.ts";

/** Layouts of `llama-imatrix`: GGUF, and the binary one that it wrote before (usually called `imatrix.dat`). */
export type ImportanceFormat = "gguf" | "dat";

/** What a file holds for one tensor: sums over all inputs of their squares, for each column of each of its matrices. */
export interface ImportanceEntry {
  /** GGUF name of the tensor. */
  readonly name: string;
  /** Number of sums: `columns`, or `experts x columns` for a tensor of merged experts. */
  readonly length: number;
  /**
   * How many inputs the sums are of: vectors, for each matrix or for all of them together. In the older layout one number of batches ("calls"), and the
   * sums are means times that number.
   */
  readonly counts: readonly number[];
}

/** What is in an importance matrix. Sums are read when they are asked for; nothing has to be closed. */
export interface ImportanceFile {
  /** Path as the user gave it. */
  readonly name: string;
  /** Its layout; "statistics" for a statistics file, seen as an importance matrix. */
  readonly format: ImportanceFormat | "statistics";
  /** The model that the sums are of, when the file says so. */
  readonly model?: StatisticsModel;
  /** Calibration texts, when the file names them. */
  readonly datasets: readonly string[];
  /** Chunks of text that went in; 0 when unknown. */
  readonly chunks: number;
  /** Tokens of a chunk; 0 when unknown. */
  readonly chunkSize: number;
  /** By tensor name, in the order of the file. */
  readonly entries: ReadonlyMap<string, ImportanceEntry>;
  /**
   * Reads sums of an entry, all of them unless a range is given.
   *
   * @throws QuernError `IMPORTANCE_CHANGED` when the file is another one than before, and what the source throws
   */
  readSums(name: string, range?: { readonly start: number; readonly count: number }): Promise<Float32Array>;
}

/**
 * Turns sums into weights, in place: means; 1 where nothing was counted, as for an expert that no token chose. The older layout keeps
 * sums without calls as they are (llama.cpp v0.5.0: tools/quantize/quantize.cpp, `load_imatrix`).
 *
 * @param params.start Index of the first sum in its entry.
 */
export function toMeans(params: {
  format: ImportanceFile["format"];
  entry: ImportanceEntry;
  sums: Float32Array;
  start: number;
}): Float32Array {
  const { format, entry, sums, start } = params;
  const columns = entry.length / entry.counts.length;
  for (let index = 0; index < sums.length; index++) {
    // As a float: dividing by it rounds as the reference does.
    const count = Math.fround(entry.counts[Math.floor((start + index) / columns)]!);
    if (count > 0) sums[index] = sums[index]! / count;
    else if (format !== "dat") sums[index] = 1;
  }
  return sums;
}

/** Floats of a little-endian file. */
export function decodeFloats(bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const floats = new Float32Array(bytes.byteLength / 4);
  for (let index = 0; index < floats.length; index++) floats[index] = view.getFloat32(index * 4, true);
  return floats;
}

/** The reverse of {@link decodeFloats}. */
export function encodeFloats(floats: ArrayLike<number>): Uint8Array {
  const bytes = new Uint8Array(floats.length * 4);
  const view = new DataView(bytes.buffer);
  for (let index = 0; index < floats.length; index++) view.setFloat32(index * 4, floats[index]!, true);
  return bytes;
}
