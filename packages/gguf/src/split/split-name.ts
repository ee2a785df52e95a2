import { QuernError } from "@quern/tensor";

/** Most files in a set: `split.count` is a uint16. */
export const MAX_SPLIT_COUNT = 65_535;

/** One file of a split set, as its name tells. */
export interface SplitFileName {
  /** What all files of the set have in front: "dir/model" of "dir/model-00002-of-00003.gguf". */
  readonly prefix: string;
  /** Position in the set, from 0. */
  readonly index: number;
  /** Files in the set. */
  readonly count: number;
}

/**
 * The file name of one part of a set: "model-00001-of-00003.gguf" (llama.cpp, `llama_split_path`).
 *
 * @throws QuernError `GGUF_SPLIT_INVALID`
 */
export function splitFileName({ prefix, index, count }: SplitFileName): string {
  const valid =
    Number.isInteger(index) &&
    Number.isInteger(count) &&
    index >= 0 &&
    index < count &&
    count <= MAX_SPLIT_COUNT;
  if (!valid || prefix === "") {
    throw new QuernError(
      "GGUF_SPLIT_INVALID",
      `part ${index} of ${count} of "${prefix}": expected a name in front, and a part from 0 of at most ${MAX_SPLIT_COUNT}`,
    );
  }
  return `${prefix}-${pad(index + 1)}-of-${pad(count)}.gguf`;
}

/** What the files of a set have in front when their output is called `fileName`: "dir/model" of "dir/model.gguf". */
export function splitPrefix(fileName: string): string {
  return parseSplitFileName(fileName)?.prefix ?? fileName.replace(/(?<=[^/\\])\.gguf$/i, "");
}

/** The parts of a name made by {@link splitFileName}, or undefined for any other name. */
export function parseSplitFileName(fileName: string): SplitFileName | undefined {
  const match = /^(.+)-(\d{5})-of-(\d{5})\.gguf$/s.exec(fileName);
  if (match === null) return undefined;
  const [, prefix = "", number, total] = match;
  const index = Number(number) - 1;
  const count = Number(total);
  return index >= 0 && index < count && count <= MAX_SPLIT_COUNT ? { prefix, index, count } : undefined;
}

function pad(number: number): string {
  return String(number).padStart(5, "0");
}
