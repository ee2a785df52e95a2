import type { Statistics } from "../statistics-file/statistics.ts";
import type { ImportanceEntry, ImportanceFile } from "./importance-file.ts";
import { type MergedImportance, mergeImportance } from "./merge-importance.ts";

/** The module of the output layer, whose inputs `llama-imatrix` collects only with `--process-output`. */
const OUTPUT = "output";

/** What begins the names of modules in blocks. */
const BLOCKS = "blk.";

/**
 * Statistics as an importance matrix: the sums of squares of every module that has statistics, in the order of the computation. As in
 * files of `llama-imatrix`, a stack of experts has a count for each matrix, and a stack of heads, which all tokens go through, a single
 * one (llama.cpp v0.5.0: tools/imatrix/imatrix.cpp, `collect_imatrix`).
 */
export function importanceOfStatistics(statistics: Statistics): ImportanceFile {
  const modules = new Map<string, string>();
  const entries = new Map<string, ImportanceEntry>();
  for (const { name: input, modules: readers, columns, matrices } of statistics.inputs) {
    const tokens = statistics.tokens(input);
    const counts = takesAllTokens(statistics, input) ? tokens.slice(0, 1) : tokens;
    for (const module of readers) {
      const name = `${module}.weight`;
      modules.set(name, input);
      entries.set(name, { name, length: matrices * columns, counts });
    }
  }
  const { file: name, model, corpus } = statistics;
  const chunkSize = corpus.rule.length;
  const most = [...entries.values()].reduce((most, { counts }) => Math.max(most, ...counts), 0);
  return {
    name,
    format: "statistics",
    model,
    datasets: corpus.calibration.sources.map(({ name }) => name),
    chunks: Math.floor(most / chunkSize),
    chunkSize,
    entries,
    readSums: (tensor, range) => statistics.readSumSquares(modules.get(tensor)!, range),
  };
}

/** Whether every token goes through all matrices of a stack, as through heads. */
function takesAllTokens(statistics: Statistics, input: string): boolean {
  const { matrices, rowsPerToken } = statistics.input(input);
  const [first, ...others] = statistics.tokens(input);
  return rowsPerToken === matrices && others.every((count) => count === first);
}

/**
 * What `llama-imatrix` would have written for the same model and text: entries for the tensors of blocks that inputs are multiplied
 * with, routers included, in the order of their names; chunks are windows.
 *
 * @param options.output Also the output layer, as with `--process-output`. Default: false.
 */
export function statisticsAsImportance(
  statistics: Statistics,
  options: { output?: boolean } = {},
): MergedImportance {
  const { output = false } = options;
  const file = importanceOfStatistics(statistics);
  const isTaken = (name: string): boolean => {
    return name.startsWith(BLOCKS) || (output && name === `${OUTPUT}.weight`);
  };
  const entries = new Map([...file.entries].filter(([name]) => isTaken(name)));
  return mergeImportance({ files: [{ ...file, entries }] });
}
