import { type ByteSource, QuernError } from "@quern/tensor";
import type { Importance } from "./importance.ts";

/** Larger files are not what they seem: the weights of a 100-layer model of 128 experts take 2 GB in F32, of a dense one 20 MB. */
const LARGEST_FILE = 4 * 2 ** 30 - 1;

/**
 * Importance in the layout of `llama-imatrix` before it wrote GGUF, little-endian: the number of entries (int32), then for each
 * the length of its name and the name, the number of calls, the number of values, and the values (float32: means times calls);
 * then, optionally, the number of chunks and the data set's name (llama.cpp v0.5.0: common/imatrix-loader.cpp).
 *
 * @throws QuernError `IMPORTANCE_INVALID`
 */
export async function readLegacyImportance(source: ByteSource): Promise<Importance> {
  const { name: file, size } = source;
  if (size > LARGEST_FILE) throw invalid(file, 0, `${size} bytes are too many for an importance matrix`);
  const bytes = await source.read(0, size);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = 0;

  const take = (length: number, what: string): number => {
    const start = offset;
    if (length > size - start) throw invalid(file, start, `${what} of ${length} bytes goes beyond the end`);
    offset += length;
    return start;
  };
  const count = (what: string, least: number): number => {
    const value = view.getInt32(take(4, what), true);
    if (value < least) throw invalid(file, offset - 4, `${what} is ${value}: expected at least ${least}`);
    return value;
  };
  const text = (what: string): string => {
    const length = count(`the length of ${what}`, 0);
    const start = take(length, what);
    return new TextDecoder().decode(bytes.subarray(start, start + length));
  };

  const weights = new Map<string, Float32Array>();
  for (let entries = count("the number of entries", 1); entries > 0; entries--) {
    const name = text("a tensor name");
    const calls = Math.max(count(`the number of calls of "${name}"`, 0), 1);
    const length = count(`the number of values of "${name}"`, 1);
    const start = take(length * 4, `the values of "${name}"`);
    weights.set(
      name,
      Float32Array.from({ length }, (_, index) => view.getFloat32(start + index * 4, true) / calls),
    );
  }
  const chunks = offset < size ? count("the number of chunks", 0) : 0;
  const datasets = offset < size ? [text("the data set's name")] : [];
  return { file, datasets: datasets.filter((name) => name !== ""), chunks, weights };
}

function invalid(file: string, offset: number, problem: string): QuernError {
  return new QuernError(
    "IMPORTANCE_INVALID",
    `${file}: not an importance matrix: ${problem} (at byte ${offset})`,
    {
      subject: { file, offset },
    },
  );
}
