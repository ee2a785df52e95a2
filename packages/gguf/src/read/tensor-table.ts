import { QuernError } from "@quern/tensor";
import type { ByteCursor } from "../codec/byte-cursor.ts";
import { readString } from "../codec/string-codec.ts";
import { type GgmlType, ggmlTypeById, tensorSize } from "../ggml-type.ts";
import { MAX_DIMENSIONS, MAX_TENSOR_NAME_LENGTH } from "../limits.ts";

/** A line of the tensor table. */
export interface TensorEntry {
  readonly name: string;
  readonly type: string;
  readonly ne: readonly number[];
  /** From the start of the data section. */
  readonly offset: number;
  /** Bytes without padding. */
  readonly size: number;
  /** Where the entry stands in the file. */
  readonly at: number;
}

/** An empty name, no dimensions, type and offset. */
export const SMALLEST_TENSOR_ENTRY: number = 8 + 4 + 4 + 8;

/** Reads a line of the tensor table: name, dimensions, type, offset. */
export function readTensorEntry(cursor: ByteCursor): TensorEntry {
  const at = cursor.position;
  const name = readTensorName(cursor);
  const fail = (code: string, message: string, cause?: unknown): QuernError =>
    new QuernError(code, `${cursor.fileName}: tensor "${name}" at offset ${at}: ${message}`, {
      subject: { file: cursor.fileName, tensor: name, offset: at },
      cause,
    });

  const dimensions = cursor.uint32();
  if (dimensions > MAX_DIMENSIONS) {
    throw fail("GGUF_TENSOR_SHAPE_INVALID", `${dimensions} dimensions: expected at most ${MAX_DIMENSIONS}`);
  }
  const ne: number[] = [];
  for (let index = 0; index < dimensions; index++) ne.push(cursor.uint64());
  if (dimensions === 0) ne.push(1);

  const typeId = cursor.uint32();
  let type: GgmlType;
  try {
    type = ggmlTypeById(typeId);
  } catch (cause) {
    throw fail("GGUF_TENSOR_TYPE_UNKNOWN", cause instanceof Error ? cause.message : `type ${typeId}`, cause);
  }
  let size: number;
  try {
    size = tensorSize(type, ne);
  } catch (cause) {
    throw fail(
      "GGUF_TENSOR_SHAPE_INVALID",
      cause instanceof Error ? cause.message : `[${ne.join(", ")}]`,
      cause,
    );
  }
  return { name, type: type.name, ne, offset: cursor.uint64(), size, at };
}

function readTensorName(cursor: ByteCursor): string {
  const at = cursor.position;
  const length = cursor.uint64();
  if (length > MAX_TENSOR_NAME_LENGTH) {
    throw new QuernError(
      "GGUF_TENSOR_NAME_INVALID",
      `${cursor.fileName}: the tensor name at offset ${at} has ${length} bytes: expected at most ${MAX_TENSOR_NAME_LENGTH}`,
      { subject: { file: cursor.fileName, offset: at } },
    );
  }
  cursor.position = at;
  return readString(cursor);
}

/**
 * Checks that the data of every tensor is aligned, inside the file and apart from that of all others.
 *
 * @throws QuernError `GGUF_TENSOR_MISALIGNED`, `GGUF_TENSOR_OUTSIDE_FILE`, `GGUF_TENSOR_OVERLAP`
 */
export function checkTensorRanges(params: {
  entries: Iterable<TensorEntry>;
  dataOffset: number;
  alignment: number;
  cursor: ByteCursor;
}): void {
  const { dataOffset, alignment } = params;
  const { fileName, fileSize } = params.cursor;
  const fail = (code: string, { name, at }: TensorEntry, message: string): QuernError =>
    new QuernError(code, `${fileName}: tensor "${name}": ${message}`, {
      subject: { file: fileName, tensor: name, offset: at },
    });

  const inOrder = [...params.entries].sort((a, b) => a.offset - b.offset || a.size - b.size);
  let previous: TensorEntry | undefined;
  for (const entry of inOrder) {
    const { offset, size } = entry;
    if (offset % alignment !== 0) {
      throw fail(
        "GGUF_TENSOR_MISALIGNED",
        entry,
        `offset ${offset} is not a multiple of the alignment ${alignment}`,
      );
    }
    if (dataOffset + offset + size > fileSize) {
      throw fail(
        "GGUF_TENSOR_OUTSIDE_FILE",
        entry,
        `its ${size} bytes from offset ${dataOffset + offset} are not inside the ${fileSize} bytes of the file`,
      );
    }
    if (previous !== undefined && previous.offset + previous.size > offset) {
      throw fail("GGUF_TENSOR_OVERLAP", entry, `its data overlaps that of tensor "${previous.name}"`);
    }
    previous = entry;
  }
}
