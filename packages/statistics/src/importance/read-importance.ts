import { checkImportance } from "./examine-importance.ts";
import type { Importance } from "./importance.ts";
import { toMeans } from "./importance-file.ts";
import { openImportanceFile } from "./open-importance-file.ts";

/**
 * Reads a file of `llama-imatrix`: GGUF, or the older binary layout (usually called `imatrix.dat`), or a statistics file. Every number is checked; none is
 * kept: weights are read again when a tensor needs them, so that the matrices of large models with experts take no memory.
 *
 * @param options.name Name of the file in messages and in the metadata of quantized files; the path unless given.
 * @throws QuernError `IMPORTANCE_INVALID` with the file, the tensor and what was expected; what the source and `readGguf` throw
 */
export async function readImportance(path: string, options: { name?: string } = {}): Promise<Importance> {
  const file = await openImportanceFile({ path, ...options });
  const examinations = await checkImportance(file);
  const { name, format, model, datasets, chunks, entries } = file;
  return {
    file: name,
    ...(model === undefined ? {} : { model }),
    ...(format === "statistics" ? { statistics: path } : {}),
    datasets,
    chunks,
    lengths: new Map([...entries].map(([tensor, { length }]) => [tensor, length])),
    leftOut: new Set(),
    examinations,
    async readWeights(tensor, range) {
      const sums = await file.readSums(tensor, range);
      return toMeans({ format, entry: entries.get(tensor)!, sums, start: range.start });
    },
  };
}
