/**
 * Lets work in as long as there is memory for it, in the order of asking. Memory that has been taken once is kept for work of the same size,
 * as `BufferPool` does: of each size, what counts is the most that was ever inside at once.
 */
export class MemoryGate {
  readonly #memory: number;
  /** By bytes: how many are inside, and how many have been at once. */
  readonly #sizes = new Map<number, { inside: number; most: number }>();
  /** Bytes of the most of each size. */
  #taken = 0;
  /** Bytes of those inside, and how many these are. */
  #used = 0;
  #inside = 0;
  readonly #waiting: { readonly bytes: number; readonly enter: () => void }[] = [];

  /** @param memory Bytes; who needs more gets in alone. */
  constructor(memory: number) {
    this.#memory = memory;
  }

  /** @returns once there is room; `leave` must follow */
  enter(bytes: number): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ bytes, enter: resolve });
      this.#admit();
    });
  }

  /** What work gives that is let in, and leaves when it ends. */
  async within<Result>(bytes: number, work: () => Promise<Result>): Promise<Result> {
    await this.enter(bytes);
    try {
      return await work();
    } finally {
      this.leave(bytes);
    }
  }

  leave(bytes: number): void {
    this.#sizes.get(bytes)!.inside -= 1;
    this.#used -= bytes;
    this.#inside -= 1;
    this.#admit();
  }

  #admit(): void {
    for (;;) {
      const next = this.#waiting[0];
      if (next === undefined) return;
      const size = this.#sizes.get(next.bytes) ?? { inside: 0, most: 0 };
      const isNew = size.inside === size.most;
      const needed = Math.max(this.#used + next.bytes, isNew ? this.#taken + next.bytes : 0);
      if (this.#inside > 0 && needed > this.#memory) return;
      this.#waiting.shift();
      this.#sizes.set(next.bytes, size);
      size.inside += 1;
      this.#used += next.bytes;
      this.#inside += 1;
      if (isNew) {
        size.most += 1;
        this.#taken += next.bytes;
      }
      next.enter();
    }
  }
}
