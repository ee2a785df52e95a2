import { type ByteSource, QuernError } from "@quern/tensor";
import { ByteCursor, MoreBytesNeeded } from "../codec/byte-cursor.ts";
import type { GgufPlacedTensor } from "../layout.ts";
import type { GgufMetadata } from "../value.ts";
import { type GgufHeader, parseHeader } from "./header.ts";
import { readTensorRows, type TensorRows } from "./tensor-data.ts";

/** Tensors by name, and their data. */
export interface GgufTensors {
  /** In the order of the tensor table. */
  readonly tensors: ReadonlyMap<string, GgufPlacedTensor>;
  /**
   * Reads the data of a whole tensor.
   *
   * @param into Where to; a new array unless given.
   * @returns As `ByteSource.read`
   * @throws QuernError `GGUF_TENSOR_NOT_FOUND`, or what the source throws
   */
  readTensor(name: string, into?: Uint8Array): Promise<Uint8Array>;
  /**
   * Reads a range of rows (`ne[0]` elements each; rows of further dimensions follow one another).
   *
   * @throws QuernError `GGUF_TENSOR_NOT_FOUND`, `GGUF_ROWS_OUT_OF_RANGE`, or what the source throws
   */
  readRows(rows: TensorRows): Promise<Uint8Array>;
}

/** An open GGUF file. */
export interface GgufFile extends GgufTensors {
  /** Name of the source. */
  readonly name: string;
  /** Format version: 2 or 3. */
  readonly version: number;
  /** Alignment of tensor data in bytes. */
  readonly alignment: number;
  /** Where the tensor data starts. */
  readonly dataOffset: number;
  readonly metadata: GgufMetadata;
}

const FIRST_READ = 2 ** 20;
const MAX_HEADER_SIZE = 2 ** 28;

/**
 * Reads the header of a GGUF file, version 2 or 3.
 *
 * Arrays stay encoded until their elements are asked for, so a large vocabulary costs little. Strings that are not UTF-8
 * decode with replacement characters; their bytes stay the same when they are written again.
 *
 * @param source Read in growing chunks from the start; stays open for tensor data, and the caller's to close.
 * @param options.maxHeaderSize Bytes of header to load at most. Default 256 MiB.
 * @throws QuernError `GGUF_NOT_GGUF`, `GGUF_BIG_ENDIAN`, `GGUF_VERSION_UNSUPPORTED` for other files; `GGUF_TRUNCATED` when a count or
 * length goes beyond the end of the file, `GGUF_HEADER_TOO_LARGE`, `GGUF_STRING_TOO_LONG`, `GGUF_NESTING_TOO_DEEP` for what is out
 * of bounds; `GGUF_KEY_INVALID`, `GGUF_DUPLICATE_KEY`, `GGUF_VALUE_TYPE_UNKNOWN`, `GGUF_ALIGNMENT_INVALID` for bad metadata;
 * `GGUF_TENSOR_NAME_INVALID`, `GGUF_DUPLICATE_TENSOR`, `GGUF_TENSOR_SHAPE_INVALID`, `GGUF_TENSOR_TYPE_UNKNOWN`,
 * `GGUF_TENSOR_MISALIGNED`, `GGUF_TENSOR_OUTSIDE_FILE`, `GGUF_TENSOR_OVERLAP` for bad tensors; or what the source throws
 */
export async function readGguf(
  source: ByteSource,
  options: { maxHeaderSize?: number } = {},
): Promise<GgufFile> {
  const header = await loadHeader(source, options.maxHeaderSize ?? MAX_HEADER_SIZE);
  const find = (name: string): GgufPlacedTensor => {
    const tensor = header.tensors.get(name);
    if (tensor !== undefined) return tensor;
    throw new QuernError("GGUF_TENSOR_NOT_FOUND", `${source.name}: no tensor "${name}"`, {
      subject: { file: source.name, tensor: name },
    });
  };
  return {
    name: source.name,
    ...header,
    async readTensor(name, into) {
      const { offset, size } = find(name);
      return source.read(offset, size, into);
    },
    async readRows(rows) {
      return readTensorRows(source, find(rows.name), rows);
    },
  };
}

async function loadHeader(source: ByteSource, maxHeaderSize: number): Promise<GgufHeader> {
  let bytes = await source.read(0, Math.min(source.size, FIRST_READ));
  for (;;) {
    try {
      return parseHeader(new ByteCursor({ bytes, fileName: source.name, fileSize: source.size }));
    } catch (error) {
      if (!(error instanceof MoreBytesNeeded)) throw error;
      if (error.size > maxHeaderSize) {
        throw new QuernError(
          "GGUF_HEADER_TOO_LARGE",
          `${source.name}: the header takes ${error.size} bytes or more: expected at most ${maxHeaderSize}`,
          { subject: { file: source.name, offset: bytes.byteLength } },
        );
      }
      bytes = await extend(source, bytes, Math.max(error.size, bytes.byteLength * 2));
    }
  }
}

/** Parsing starts over with each extension; doubling keeps the sum of that work below twice the last one. */
async function extend(source: ByteSource, bytes: Uint8Array, size: number): Promise<Uint8Array> {
  const extended = new Uint8Array(Math.min(source.size, size));
  extended.set(bytes);
  await source.read(
    bytes.byteLength,
    extended.byteLength - bytes.byteLength,
    extended.subarray(bytes.byteLength),
  );
  return extended;
}
