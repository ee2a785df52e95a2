import { readFileSync } from "node:fs";

const FILE = new URL("../../../../examples/quern-demo/model.safetensors", import.meta.url);
const ROW = 256;
/** The file has 2.9 million weights. */
const SHARE = 8;

/** BF16 weights of a trained model, a share of the rows of all its tensors; all have rows of a multiple of 256 weights. */
export function trainedWeights(): {
  readonly halves: Uint16Array;
  readonly rows: number;
  readonly columns: number;
} {
  const file = readFileSync(FILE);
  const data = file.subarray(8 + Number(file.readBigUInt64LE()));
  const rows = Math.floor(data.length / (2 * ROW) / SHARE);
  const halves = Uint16Array.from({ length: rows * ROW }, (_, i) =>
    data.readUInt16LE(2 * (i + Math.floor(i / ROW) * ROW * (SHARE - 1))),
  );
  return { halves, rows, columns: ROW };
}
