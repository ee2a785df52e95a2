/** Buffers that one lane uses again and again, for one slab after the other; they grow to the largest slab. */
export class LaneBuffers {
  readonly #buffers = new Map<string, Uint8Array>();
  #reads = new Uint8Array(0);
  #readBytes = 0;
  #wantedBytes = 0;

  /** @param use Uses with different names never share memory. */
  take(use: string, size: number): Uint8Array {
    let buffer = this.#buffers.get(use);
    if (buffer === undefined || buffer.byteLength < size) {
      buffer = new Uint8Array(size);
      this.#buffers.set(use, buffer);
    }
    return buffer.subarray(0, size);
  }

  /** As {@link take}, for numbers. */
  takeFloats(use: string, length: number): Float32Array {
    return new Float32Array(this.take(use, length * 4).buffer, 0, length);
  }

  /**
   * Memory for one of the reads of a slab, of which rearranged rows take several. All of it is given back by
   * {@link releaseReads}.
   */
  takeRead(size: number): Uint8Array {
    this.#wantedBytes += size;
    // Nothing of it is in use yet: it may be replaced.
    if (this.#readBytes === 0 && size > this.#reads.byteLength) this.#reads = new Uint8Array(size);
    if (this.#readBytes + size > this.#reads.byteLength) return new Uint8Array(size);
    this.#readBytes += size;
    return this.#reads.subarray(this.#readBytes - size, this.#readBytes);
  }

  /** The slab is done with what it has read. */
  releaseReads(): void {
    const size = Math.min(this.#wantedBytes, LARGEST_READ_MEMORY);
    if (size > this.#reads.byteLength) this.#reads = new Uint8Array(size);
    this.#readBytes = 0;
    this.#wantedBytes = 0;
  }
}

/** Twice the largest slab: rows are rearranged from reads that hold every other row between them, too. */
const LARGEST_READ_MEMORY = 8 * 2 ** 20;
