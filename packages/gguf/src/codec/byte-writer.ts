const encoder = new TextEncoder();

/** Writes little-endian values into bytes that grow as needed. */
export class ByteWriter {
  #bytes: Uint8Array = new Uint8Array(64 * 1024);
  #view: DataView = new DataView(this.#bytes.buffer);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** The view to write a value of `size` bytes into, at the offset returned. */
  reserve(size: number): { view: DataView; offset: number } {
    const offset = this.#length;
    this.#grow(offset + size);
    this.#length = offset + size;
    return { view: this.#view, offset };
  }

  uint32(value: number): void {
    const { view, offset } = this.reserve(4);
    view.setUint32(offset, value, true);
  }

  uint64(value: number): void {
    const { view, offset } = this.reserve(8);
    view.setUint32(offset, value % 2 ** 32, true);
    view.setUint32(offset + 4, Math.floor(value / 2 ** 32), true);
  }

  bytes(bytes: Uint8Array): void {
    const { offset } = this.reserve(bytes.byteLength);
    this.#bytes.set(bytes, offset);
  }

  /** Writes `text` in UTF-8 and returns how many bytes that took. */
  utf8(text: string): number {
    // At most three bytes for each UTF-16 code unit.
    this.#grow(this.#length + text.length * 3);
    const { written } = encoder.encodeInto(text, this.#bytes.subarray(this.#length));
    this.#length += written;
    return written;
  }

  /** Overwrites the 64-bit integer at `offset`. */
  setUint64(offset: number, value: number): void {
    this.#view.setUint32(offset, value % 2 ** 32, true);
    this.#view.setUint32(offset + 4, Math.floor(value / 2 ** 32), true);
  }

  /** Appends zero bytes up to a multiple of `alignment`. */
  pad(alignment: number): void {
    this.reserve(Math.ceil(this.#length / alignment) * alignment - this.#length);
  }

  /** A copy of what has been written. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #grow(capacity: number): void {
    if (capacity <= this.#bytes.byteLength) return;
    const grown = new Uint8Array(Math.max(capacity, this.#bytes.byteLength * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}
