import { QuernError } from "@quern/tensor";

/** Thrown when a header goes on behind the bytes that are loaded: load up to `size` bytes and parse again. */
export class MoreBytesNeeded extends Error {
  readonly size: number;

  constructor(size: number) {
    super(`${size} bytes needed`);
    this.size = size;
  }
}

/** Reads little-endian values from the first bytes of a file, checking each length against the size of the whole file. */
export class ByteCursor {
  position = 0;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Size of the whole file; `bytes` may be its beginning only. */
  readonly fileSize: number;
  readonly fileName: string;

  constructor(params: { bytes: Uint8Array; fileName: string; fileSize?: number }) {
    const { bytes } = params;
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.fileSize = params.fileSize ?? bytes.byteLength;
    this.fileName = params.fileName;
  }

  /**
   * Moves past `length` bytes and returns where they start.
   *
   * @throws QuernError `GGUF_TRUNCATED` when the file ends before, {@link MoreBytesNeeded} when they are not loaded.
   */
  take(length: number): number {
    const start = this.position;
    const end = start + length;
    if (end > this.bytes.byteLength) {
      this.require(length, "a value");
      throw new MoreBytesNeeded(end);
    }
    this.position = end;
    return start;
  }

  /**
   * Checks that at least `length` bytes are left in the file.
   *
   * @throws QuernError `GGUF_TRUNCATED`
   */
  require(length: number, what: string): void {
    const remaining = this.fileSize - this.position;
    if (length <= remaining) return;
    throw new QuernError(
      "GGUF_TRUNCATED",
      `${this.fileName}: ${what} at offset ${this.position} takes ${length} bytes or more, but only ${remaining} are left in the file`,
      { subject: { file: this.fileName, offset: this.position } },
    );
  }

  uint32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  /** A 64-bit unsigned integer; values above 2^53 lose their low bits, which no size or offset of a real file reaches. */
  uint64(): number {
    const at = this.take(8);
    return this.view.getUint32(at + 4, true) * 2 ** 32 + this.view.getUint32(at, true);
  }
}
