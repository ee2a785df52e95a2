import type { ImportanceEntry, ImportanceFile } from "./importance-file.ts";

/**
 * Figures of one tensor. "Activations" are means of squared inputs by column; columns of matrices without any input are left out.
 * Formulas and rounding to float: llama.cpp v0.5.0, tools/imatrix/imatrix.cpp, `compute_statistics` and `compute_cossim`.
 */
export interface ImportanceStatistics {
  /** GGUF name. */
  readonly name: string;
  /** Number of the block; undefined outside of blocks. */
  readonly layer: number | undefined;
  /** The name without block and ending: "ffn_down". */
  readonly kind: string;
  /** How many activations there are. */
  readonly elements: number;
  readonly total: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly deviation: number;
  /** Share of the activations above 1e-5. */
  readonly active: number;
  /** Entropy of the activations as a distribution, in bits. */
  readonly entropy: number;
  /** Entropy in proportion to that of equal activations; NaN for a single one. */
  readonly normalizedEntropy: number;
  /** Z-score distribution: share of the activations more than a standard deviation above the mean. */
  readonly zScoreDensity: number;
  /** Cosine between the sums and those of the same tensor one block earlier; undefined where there is none of that size. */
  readonly cosineSimilarity: number | undefined;
}

/** Averages over the tensors of a block, by their number of activations. */
export interface LayerStatistics {
  readonly layer: number;
  readonly total: number;
  readonly zScoreDensity: number;
  readonly cosineSimilarity: number;
}

const { fround } = Math;

const INACTIVE = fround(1e-5);

/**
 * Computes the figures of every tensor with inputs, by kind, those of a kind with the largest total first. Two tensors at a time are
 * in memory.
 *
 * @throws what reading throws
 */
export async function importanceStatistics(file: ImportanceFile): Promise<ImportanceStatistics[]> {
  const result: ImportanceStatistics[] = [];
  for (const entry of file.entries.values()) {
    if (entry.counts.every((count) => count === 0)) continue;
    const sums = await file.readSums(entry.name);
    result.push({
      name: entry.name,
      ...placeOf(entry.name),
      ...figuresOf(activationsOf(sums, entry)),
      cosineSimilarity: await similarityToPrevious(file, entry, sums),
    });
  }
  return result.sort((a, b) => (a.kind === b.kind ? b.total - a.total : a.kind < b.kind ? -1 : 1));
}

/** Averages the figures of tensors by block, in the order of blocks. */
export function layerStatistics(statistics: readonly ImportanceStatistics[]): LayerStatistics[] {
  const layers = new Map<number, { elements: number; total: number; density: number; cosine: number }>();
  for (const { layer, elements, total, zScoreDensity, cosineSimilarity = 0 } of statistics) {
    if (layer === undefined) continue;
    const sums = layers.get(layer) ?? { elements: 0, total: 0, density: 0, cosine: 0 };
    layers.set(layer, {
      elements: sums.elements + elements,
      total: fround(sums.total + fround(elements * total)),
      density: fround(sums.density + fround(elements * zScoreDensity)),
      cosine: fround(sums.cosine + fround(elements * cosineSimilarity)),
    });
  }
  return [...layers]
    .sort(([a], [b]) => a - b)
    .map(([layer, { elements, total, density, cosine }]) => ({
      layer,
      total: fround(total / elements),
      zScoreDensity: fround(density / elements),
      cosineSimilarity: fround(cosine / elements),
    }));
}

function placeOf(name: string): Pick<ImportanceStatistics, "layer" | "kind"> {
  const parts = name.split(".");
  const layer = Number.parseInt(parts[parts.indexOf("blk") + 1] ?? "", 10);
  const ending = parts.indexOf("weight");
  return {
    layer: parts.includes("blk") && layer >= 0 ? layer : undefined,
    kind: ending > 0 ? parts[ending - 1]! : name,
  };
}

function activationsOf(sums: Float32Array, { length, counts }: ImportanceEntry): Float32Array {
  const columns = length / counts.length;
  const seen = counts.filter((count) => count !== 0).length;
  const activations = new Float32Array(seen * columns);
  let filled = 0;
  for (const [matrix, count] of counts.entries()) {
    if (count === 0) continue;
    for (const sum of sums.subarray(matrix * columns, (matrix + 1) * columns)) {
      activations[filled++] = sum / fround(count);
    }
  }
  return activations;
}

function figuresOf(
  activations: Float32Array,
): Omit<ImportanceStatistics, "name" | "layer" | "kind" | "cosineSimilarity"> {
  const elements = activations.length;
  let total = 0;
  let squares = 0;
  let [min, max] = [Infinity, -Infinity];
  let inactive = 0;
  for (const value of activations) {
    total = fround(total + value);
    squares = fround(squares + fround(value * value));
    min = Math.min(min, value);
    max = Math.max(max, value);
    if (Math.abs(value) <= INACTIVE) inactive++;
  }
  const mean = fround(total / fround(elements));
  const variance = fround(fround(squares / fround(elements)) - fround(mean * mean));
  const deviation = fround(Math.sqrt(Math.max(0, variance)));
  let entropy = 0;
  let far = 0;
  for (const value of activations) {
    const share = total > 0 ? fround(value / total) : 0;
    if (share > 0) entropy = fround(entropy - fround(share * fround(Math.log2(share))));
    if (deviation > 0 && fround(fround(value - mean) / deviation) > 1) far++;
  }
  return {
    elements,
    total,
    min,
    max,
    mean,
    deviation,
    active: fround(1 - fround(inactive / fround(elements))),
    entropy,
    normalizedEntropy: entropy / Math.log2(elements),
    zScoreDensity: fround(far / fround(elements)),
  };
}

async function similarityToPrevious(
  file: ImportanceFile,
  entry: ImportanceEntry,
  sums: Float32Array,
): Promise<number | undefined> {
  const name = entry.name.replace(/blk\.(\d+)\./, (_, block) => `blk.${Number(block) - 1}.`);
  const previous = name === entry.name ? undefined : file.entries.get(name);
  if (previous?.length !== entry.length || previous.counts.every((count) => count === 0)) return undefined;
  const others = await file.readSums(name);
  const lengths = fround(fround(Math.sqrt(dot(sums, sums))) * fround(Math.sqrt(dot(others, others))));
  return lengths === 0 ? undefined : fround(dot(sums, others) / lengths);
}

function dot(left: Float32Array, right: Float32Array): number {
  let sum = 0;
  for (let index = 0; index < left.length; index++) sum = fround(sum + fround(left[index]! * right[index]!));
  return sum;
}
