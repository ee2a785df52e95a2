/** Random access to the bytes of a file, a Blob, a buffer or a remote object. */
export interface ByteSource {
  /** File name or URL, for messages. */
  readonly name: string;
  /** Size in bytes. */
  readonly size: number;
  /**
   * Reads exactly `length` bytes from `offset` into `into` (or into a new array), looping in chunks of at most 1 GiB.
   *
   * @returns The bytes read: `into` itself, or its first `length` bytes when it is longer. Bytes of a new array may be
   * shared with the source (a view of a buffer in memory): do not write into them.
   * @throws QuernError `SOURCE_OUT_OF_RANGE` when the range is not inside the source, `SOURCE_TRUNCATED` when fewer bytes
   * came than asked, `SOURCE_BUFFER_TOO_SMALL` when `into` is shorter than `length`, `SOURCE_OUT_OF_MEMORY` when no array
   * of `length` bytes can be made, `SOURCE_CLOSED` after `close()`, `SOURCE_READ_FAILED` with the cause for anything else;
   * remote sources throw further codes (see `httpRangeSource`).
   */
  read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array>;
  /** Frees what the source holds; reads that come later fail. */
  close(): Promise<void>;
}
