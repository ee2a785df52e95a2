/**
 * Memory that all threads see, used again for what has the same size: blocks of a model mostly have the same shapes. What is not needed
 * any more has to be given back: the garbage collector takes little notice of shared memory, and that of many blocks would pile up
 * before it runs.
 */
export class BufferPool {
  /** By size. */
  readonly #free = new Map<number, SharedArrayBuffer[]>();

  /** So many bytes, with anything in them. */
  take(size: number): SharedArrayBuffer {
    return this.#free.get(size)?.pop() ?? new SharedArrayBuffer(size);
  }

  /** Nothing may use it any more. */
  give(buffer: SharedArrayBuffer): void {
    const free = this.#free.get(buffer.byteLength) ?? [];
    this.#free.set(buffer.byteLength, free);
    free.push(buffer);
  }

  /** Buffers that are given back together. */
  lease(): BufferLease {
    return new BufferLease(this);
  }

  /** Forgets what was given. */
  clear(): void {
    this.#free.clear();
  }
}

/** What a piece of work has taken from a pool. */
export class BufferLease {
  readonly #pool: BufferPool;
  #taken: SharedArrayBuffer[] = [];

  constructor(pool: BufferPool) {
    this.#pool = pool;
  }

  /** So many bytes, with anything in them. */
  take(size: number): SharedArrayBuffer {
    const buffer = this.#pool.take(size);
    this.#taken.push(buffer);
    return buffer;
  }

  /** Gives one of them back before the others: nothing may use it any more. */
  giveBack(buffer: SharedArrayBuffer): void {
    const index = this.#taken.indexOf(buffer);
    if (index < 0) return;
    this.#taken.splice(index, 1);
    this.#pool.give(buffer);
  }

  /** Gives everything back: nothing may use it any more. */
  release(): void {
    for (const buffer of this.#taken) this.#pool.give(buffer);
    this.#taken = [];
  }
}
