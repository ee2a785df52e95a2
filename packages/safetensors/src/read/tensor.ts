import { type ByteSource, byteSize, QuernError, type TensorInfo } from "@quern/tensor";

/** A tensor of an open file; its data is read when asked for. */
export interface SafetensorsTensor {
  readonly info: TensorInfo;
  /** Name of the file that holds it. */
  readonly file: string;
  /** First byte of the data, counted from the start of the file. */
  readonly offset: number;
  /** Size of the data in bytes. */
  readonly size: number;
  /** Rows of the tensor seen as a matrix: the product of all dimensions but the last; 1 for a scalar. */
  readonly rowCount: number;
  /**
   * Reads the whole tensor: little-endian elements in row-major order.
   *
   * @param into Array to fill, of at least `size` bytes; a new one unless given.
   * @throws QuernError `SOURCE_*` as `ByteSource.read`.
   */
  read(into?: Uint8Array): Promise<Uint8Array>;
  /**
   * Reads `count` rows from row `start` of the tensor seen as a matrix of `rowCount` rows.
   *
   * @param into Array to fill, of at least the size of the rows; a new one unless given.
   * @throws QuernError `SAFETENSORS_ROWS_OUT_OF_RANGE`; `TENSOR_SHAPE_NOT_WHOLE_BYTES` when a packed type has rows that do not
   * end at a byte boundary; `SOURCE_*` as `ByteSource.read`.
   */
  readRows(start: number, count: number, into?: Uint8Array): Promise<Uint8Array>;
}

/** Binds a tensor of a checked header to the source that holds it. */
export function openTensor(params: {
  source: ByteSource;
  info: TensorInfo;
  offset: number;
  size: number;
}): SafetensorsTensor {
  const { source, info, offset, size } = params;
  const rowShape = info.shape.slice(-1);
  const rowCount = info.shape.slice(0, -1).reduce((product, dimension) => product * dimension, 1);
  return {
    info,
    file: source.name,
    offset,
    size,
    rowCount,
    read: (into) => source.read(offset, size, into),
    async readRows(start, count, into) {
      const subject = { file: source.name, tensor: info.name };
      const valid = Number.isInteger(start) && Number.isInteger(count) && start >= 0 && count >= 0;
      if (!valid || start + count > rowCount) {
        throw new QuernError(
          "SAFETENSORS_ROWS_OUT_OF_RANGE",
          `${source.name}: tensor ${JSON.stringify(info.name)}: rows ${start} to ${start + count} are not inside its ${rowCount} rows`,
          { subject },
        );
      }
      const rowSize = byteSize({ type: info.type, shape: rowShape }, subject);
      return source.read(offset + start * rowSize, count * rowSize, into);
    },
  };
}
