/** Bytes of a piece of memory: what is never written takes none of the machine's. */
const CHUNK = 64 * 2 ** 20;

/** Arrays begin where lines of the cache do. */
const ALIGNMENT = 64;

interface Mark {
  readonly chunk: number;
  readonly offset: number;
}

/**
 * Memory for the arrays of an evaluation, one behind the other, which is used again for the next. Arrays of their own would be freed whenever
 * the garbage collector comes by: it takes little notice of what lies outside its heap, and several times of what is needed piles up.
 */
export class Workspace {
  readonly #chunks: ArrayBuffer[] = [];
  #top: Mark = { chunk: 0, offset: 0 };
  #peak = 0;

  /** Most bytes that were in use at a time. */
  get peak(): number {
    return this.#peak;
  }

  /** So many numbers, with anything in them. */
  take(length: number): Float32Array {
    const size = Math.ceil((length * Float32Array.BYTES_PER_ELEMENT) / ALIGNMENT) * ALIGNMENT;
    let { chunk, offset } = this.#top;
    while (chunk < this.#chunks.length && offset + size > this.#chunks[chunk]!.byteLength) {
      chunk += 1;
      offset = 0;
    }
    const buffer = (this.#chunks[chunk] ??= new ArrayBuffer(Math.max(CHUNK, size)));
    this.#top = { chunk, offset: offset + size };
    const before = this.#chunks.slice(0, chunk).reduce((sum, { byteLength }) => sum + byteLength, 0);
    this.#peak = Math.max(this.#peak, before + offset + size);
    return new Float32Array(buffer, offset, length);
  }

  /** Arrays that are taken in `work` are given back. */
  scoped(work: () => void): void {
    const before = this.#top;
    work();
    this.#top = before;
  }

  /** Gives everything back: nothing may use it any more. */
  clear(): void {
    this.#top = { chunk: 0, offset: 0 };
  }
}
