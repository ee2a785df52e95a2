/** Arrays begin at multiples of this: a cache line. */
const ALIGNMENT = 64;

/**
 * Memory that all threads see, for arrays that are needed for a while and then all at once no more: those of a block. It grows to what
 * the largest block needs, and is used again.
 */
export class SharedArena {
  #buffer = new SharedArrayBuffer(0);
  #used = 0;

  /** Makes room for `bytes` of arrays; those that were given before must not be used any more. */
  reset(params: { readonly bytes: number; readonly arrays: number }): void {
    const size = params.bytes + params.arrays * ALIGNMENT;
    // Before the new one is made, nothing may hold the old one.
    if (size > this.#buffer.byteLength) {
      this.#buffer = new SharedArrayBuffer(0);
      this.#buffer = new SharedArrayBuffer(size);
    }
    this.#used = 0;
  }

  /** Filled with zeros. */
  float32(length: number): Float32Array {
    return new Float32Array(this.#buffer, this.#take(4 * length), length).fill(0);
  }

  /** Filled with zeros. */
  float64(length: number): Float64Array {
    return new Float64Array(this.#buffer, this.#take(8 * length), length).fill(0);
  }

  #take(bytes: number): number {
    const offset = this.#used;
    this.#used += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    return offset;
  }
}
