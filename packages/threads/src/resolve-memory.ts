import { totalmem } from "node:os";
import { QuernError } from "@quern/tensor";

/**
 * @param params.memory Default: a quarter of the machine's, at most `most`.
 * @param params.code Of the error.
 * @returns bytes for buffers
 * @throws QuernError `params.code`
 */
export function resolveMemory(params: {
  readonly memory: number | undefined;
  readonly most: number;
  readonly code: string;
}): number {
  const { memory, most, code } = params;
  if (memory === undefined) return Math.min(Math.floor(totalmem() / 4), most);
  if (Number.isSafeInteger(memory) && memory > 0) return memory;
  throw new QuernError(code, `memory: ${memory} is not a number of bytes above 0`, {
    subject: { key: "memory" },
  });
}

/**
 * Resident memory of the process before it works, for estimates: at least what Node and its modules take, and more where it has more
 * already, as vocabularies of hundreds of thousands of tokens take.
 *
 * @param least Bytes with a model of ordinary size described.
 */
export function processMemory(least: number): number {
  return Math.max(least, process.memoryUsage.rss());
}
