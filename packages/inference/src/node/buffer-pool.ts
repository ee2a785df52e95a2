/**
 * Memory that all threads see, used again and again. What is not needed any more has to be given back: the garbage collector takes little
 * notice of shared memory, and weights of many blocks would pile up before it runs.
 */
export class BufferPool {
  /** Smallest first. */
  #free: SharedArrayBuffer[] = [];

  /** At least `size` bytes, with anything in them. */
  take(size: number): SharedArrayBuffer {
    const fitting = this.#free.findIndex(({ byteLength }) => byteLength >= size);
    if (fitting >= 0) return this.#free.splice(fitting, 1)[0]!;
    // The new one takes the place of the largest that is too small: there are never more than are needed at once.
    this.#free.pop();
    return new SharedArrayBuffer(size);
  }

  /** Nothing may use it any more. */
  give(buffer: SharedArrayBuffer): void {
    const place = this.#free.findIndex(({ byteLength }) => byteLength >= buffer.byteLength);
    this.#free.splice(place < 0 ? this.#free.length : place, 0, buffer);
  }
}
