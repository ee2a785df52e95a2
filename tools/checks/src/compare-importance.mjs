// How far two importance matrices are from each other.
import { openImportanceFile } from "@quern/statistics";

/** {@link compareMeans} of two files. */
export async function compareImportance(actualPath, expectedPath) {
  return compareMeans(await readMeans(actualPath), await readMeans(expectedPath));
}

/**
 * Compares the mean squares of columns, tensor by tensor.
 *
 * @returns `missing` and `more`: names that only the second or only the first has; `counts`: how many counts differ; `largest`: the
 * largest relative difference, and where
 */
export function compareMeans(actual, expected) {
  const result = {
    tensors: 0,
    columns: 0,
    missing: [...expected.keys()].filter((name) => !actual.has(name)),
    more: [...actual.keys()].filter((name) => !expected.has(name)),
    counts: 0,
    largest: 0,
    median: 0,
    where: "",
  };
  const differences = [];
  for (const [name, theirs] of expected) {
    const ours = actual.get(name);
    if (ours === undefined) continue;
    if (ours.means.length !== theirs.means.length) throw new Error(`${name}: ${ours.means.length} columns`);
    result.tensors += 1;
    result.counts += theirs.counts.filter((count, matrix) => count !== ours.counts[matrix]).length;
    for (const [index, mean] of theirs.means.entries()) {
      const apart = Math.abs(ours.means[index] - mean);
      const difference = apart === 0 ? 0 : apart / Math.abs(mean);
      differences.push(difference);
      if (difference > result.largest) {
        result.largest = difference;
        result.where = `${name}, column ${index}`;
      }
    }
  }
  result.columns = differences.length;
  result.median = differences.sort((a, b) => a - b)[differences.length >> 1] ?? 0;
  return result;
}

/** Mean square of each column of each tensor; 0 for what no token went through. */
export async function readMeans(path) {
  const file = await openImportanceFile({ path });
  const tensors = new Map();
  for (const [name, { counts, length }] of file.entries) {
    const columns = length / counts.length;
    const sums = await file.readSums(name);
    const means = Array.from(sums, (sum, index) => sum / Math.max(1, counts[Math.floor(index / columns)]));
    tensors.set(name, { counts, means });
  }
  return tensors;
}
