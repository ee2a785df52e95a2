import { type ByteSource, QuernError } from "@quern/tensor";
import { rowSize } from "../ggml-type.ts";
import type { GgufPlacedTensor } from "../layout.ts";

/** A range of rows of a tensor. */
export interface TensorRows {
  /** Name of the tensor. */
  readonly name: string;
  /** First row. */
  readonly start: number;
  /** Number of rows. */
  readonly count: number;
  /** Where to read to; a new array unless given. */
  readonly into?: Uint8Array;
}

/** Reads a range of rows. */
export async function readTensorRows(
  source: ByteSource,
  tensor: GgufPlacedTensor,
  rows: TensorRows,
): Promise<Uint8Array> {
  const { start, count, into } = rows;
  const [columns = 1, ...rest] = tensor.ne;
  const total = rest.reduce((product, dimension) => product * dimension, 1);
  const valid =
    Number.isSafeInteger(start) &&
    Number.isSafeInteger(count) &&
    start >= 0 &&
    count >= 0 &&
    start + count <= total;
  if (!valid) {
    throw new QuernError(
      "GGUF_ROWS_OUT_OF_RANGE",
      `${source.name}: tensor "${tensor.name}": ${count} rows from row ${start} are not inside its ${total} rows`,
      { subject: { file: source.name, tensor: tensor.name } },
    );
  }
  const bytes = rowSize(tensor.type, columns);
  return source.read(tensor.offset + start * bytes, count * bytes, into);
}
