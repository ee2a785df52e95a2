import { createHash } from "node:crypto";
import type { Statistics } from "./statistics.ts";

/**
 * Tells the statistics of a file from others, without reading products: by what the file says of itself, and mean squares of all columns.
 *
 * @returns SHA-256 in hexadecimal digits
 * @throws QuernError `STATISTICS_INVALID`, and what the source throws
 */
export async function statisticsIdentity(statistics: Statistics): Promise<string> {
  const { model, corpus, inputs, tool, options } = statistics;
  const hash = createHash("sha256");
  hash.update(JSON.stringify({ model: model.identity, corpus, inputs, tool, options }));
  for (const { name, matrices } of inputs) {
    for (let matrix = 0; matrix < matrices; matrix++) {
      const { meanSquare } = await statistics.readChannels(name, matrix);
      hash.update(new Uint8Array(meanSquare.buffer, meanSquare.byteOffset, meanSquare.byteLength));
    }
  }
  return hash.digest("hex");
}
