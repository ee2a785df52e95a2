/** Lets in no more at once than there is memory for, in the order of asking. */
export class MemoryGate {
  readonly #memory: number;
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
    this.#used -= bytes;
    this.#inside -= 1;
    this.#admit();
  }

  #admit(): void {
    for (;;) {
      const next = this.#waiting[0];
      if (next === undefined || (this.#inside > 0 && this.#used + next.bytes > this.#memory)) return;
      this.#waiting.shift();
      this.#used += next.bytes;
      this.#inside += 1;
      next.enter();
    }
  }
}
