import { createHash } from "node:crypto";
import { basename } from "node:path";
import type { Importance } from "@quern/statistics";

/** An importance matrix. */
export interface ImportanceIdentity {
  /** Name of its file, without a path. */
  readonly file: string;
  /** SHA-256 of names and weights of the tensors it is used for. */
  readonly weights: string;
}

/** Weights that are read at a time. */
const CHUNK = 2 ** 20;

/** @throws what reading weights throws */
export async function importanceIdentity(importance: Importance): Promise<ImportanceIdentity> {
  const hash = createHash("sha256");
  const names = [...importance.lengths.keys()].filter((name) => !importance.leftOut.has(name)).sort();
  for (const name of names) {
    const length = importance.lengths.get(name)!;
    hash.update(`${JSON.stringify(name)} ${length}\n`);
    for (let start = 0; start < length; start += CHUNK) {
      const weights = await importance.readWeights(name, { start, count: Math.min(CHUNK, length - start) });
      hash.update(new Uint8Array(weights.buffer, weights.byteOffset, weights.byteLength));
    }
  }
  return { file: basename(importance.file), weights: hash.digest("hex") };
}
