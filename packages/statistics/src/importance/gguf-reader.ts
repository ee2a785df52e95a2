import { type GgufFile, type GgufMetadata, type GgufPlacedTensor, readGguf } from "@quern/gguf";
import { type ByteSource, elementCount, QuernError } from "@quern/tensor";
import { CHUNK_COUNT_KEY, CHUNK_SIZE_KEY, COUNTS_SUFFIX, DATASETS_KEY, SUMS_SUFFIX } from "./gguf-names.ts";
import { decodeFloats, type ImportanceEntry, type ImportanceFile } from "./importance-file.ts";

/** Far more experts than a layer has; each costs memory while the file is in use. */
const MOST_MATRICES = 2 ** 16;

/** `llama-imatrix` keeps chunks in an int32. */
const MOST_CHUNKS = 2 ** 31 - 1;

/**
 * Reads what is in an importance matrix in the GGUF layout (`gguf-names.ts`). Tensors of other names mean nothing. Stricter than the reference,
 * which reads counts that do not divide the sums, and stops the whole process at numbers of another type than uint32.
 *
 * @throws QuernError `IMPORTANCE_INVALID`, and what `readGguf` throws
 */
export async function readGgufImportance(source: ByteSource): Promise<ImportanceFile> {
  const gguf = await readGguf(source);
  const { name: file, metadata } = gguf;
  for (const key of [DATASETS_KEY, CHUNK_COUNT_KEY, CHUNK_SIZE_KEY]) {
    if (!metadata.has(key))
      throw invalid(file, { key }, `the key "${key}" of an importance matrix is missing`);
  }
  const entries = new Map<string, ImportanceEntry>();
  for (const name of entryNames(gguf)) entries.set(name, await readEntry(gguf, name));
  if (entries.size === 0) throw invalid(file, {}, "there are no importance weights in it");
  return {
    name: file,
    format: "gguf",
    datasets: datasetsOf(metadata),
    chunks: numberOf(file, metadata, CHUNK_COUNT_KEY),
    chunkSize: numberOf(file, metadata, CHUNK_SIZE_KEY),
    entries,
    async readSums(name, range) {
      const { offset } = gguf.tensors.get(name + SUMS_SUFFIX)!;
      const { start, count } = range ?? { start: 0, count: entries.get(name)!.length };
      return decodeFloats(await source.read(offset + start * 4, count * 4));
    },
  };
}

function entryNames({ tensors }: GgufFile): Set<string> {
  const names = [...tensors.keys()].flatMap((name) => {
    const suffix = [SUMS_SUFFIX, COUNTS_SUFFIX].find((suffix) => name.endsWith(suffix));
    return suffix === undefined ? [] : [name.slice(0, -suffix.length)];
  });
  return new Set(names);
}

async function readEntry(gguf: GgufFile, name: string): Promise<ImportanceEntry> {
  const { name: file } = gguf;
  const length = elementCount(floatTensor(gguf, name, SUMS_SUFFIX).ne);
  const countsTensor = floatTensor(gguf, name, COUNTS_SUFFIX);
  const matrices = elementCount(countsTensor.ne);
  if (matrices === 0 || matrices > MOST_MATRICES || length === 0 || length % matrices !== 0) {
    const problem = `"${name}" has ${length} sums for ${matrices} counts: expected a multiple, and at most ${MOST_MATRICES} counts`;
    throw invalid(file, { tensor: name }, problem);
  }
  const counts = [...decodeFloats(await gguf.readTensor(countsTensor.name))];
  const bad = counts.findIndex((count) => !Number.isFinite(count) || count < 0);
  if (bad >= 0) {
    const problem = `count ${bad} of "${name}" is ${counts[bad]}: expected a number of inputs`;
    throw invalid(file, { tensor: name, offset: bad }, problem);
  }
  // Halves go away from zero, as in `std::lround`.
  return { name, length, counts: counts.map((count) => Math.round(count)) };
}

function floatTensor(gguf: GgufFile, name: string, suffix: string): GgufPlacedTensor {
  const tensor = gguf.tensors.get(name + suffix);
  if (tensor?.type === "F32") return tensor;
  const found = tensor === undefined ? "is missing" : `is ${tensor.type}`;
  throw invalid(gguf.name, { tensor: name }, `"${name}${suffix}" ${found}: expected an F32 tensor`);
}

function datasetsOf(metadata: GgufMetadata): string[] {
  const value = metadata.get(DATASETS_KEY);
  return value?.type === "array" && value.elements === "string" ? ([...value] as string[]) : [];
}

/** `llama-imatrix` writes uint32; a number is a number whatever its type. */
function numberOf(file: string, metadata: GgufMetadata, key: string): number {
  const value = metadata.get(key);
  const found = value === undefined || value.type === "array" ? undefined : value.value;
  const number = typeof found === "bigint" ? Number(found) : found;
  if (typeof number === "number" && Number.isInteger(number) && number >= 0 && number <= MOST_CHUNKS) {
    return number;
  }
  const problem = `the key "${key}" is ${String(found ?? "an array")} (${value?.type}): expected a whole number up to ${MOST_CHUNKS}`;
  throw invalid(file, { key }, problem);
}

function invalid(
  file: string,
  subject: { tensor?: string; key?: string; offset?: number },
  problem: string,
): QuernError {
  return new QuernError("IMPORTANCE_INVALID", `${file}: ${problem}`, { subject: { file, ...subject } });
}
