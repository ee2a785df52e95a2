import type { Slab } from "./slab.ts";
import type { ConversionTask, HashTask } from "./task.ts";

/**
 * Gives slabs one after another, and before the next one what is to be hashed of tensors that they have completed: it is still in the
 * page cache then. Ends when all slabs are done and all has been hashed.
 */
export class TaskOrder implements AsyncIterable<ConversionTask> {
  readonly #slabs: AsyncIterable<Slab>;
  readonly #hashes: HashTask[] = [];
  #inHand = 0;
  #wake: (() => void) | undefined;

  constructor(slabs: AsyncIterable<Slab>) {
    this.#slabs = slabs;
  }

  /** Puts something to hash in front. */
  hash(task: HashTask): void {
    this.#hashes.push(task);
  }

  /** One of the tasks is done, and what follows from it has been put in front. */
  done(): void {
    this.#inHand--;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ConversionTask, void, undefined> {
    for await (const slab of this.#slabs) {
      yield* this.#waiting();
      this.#inHand++;
      yield { kind: "slab", slab };
    }
    for (;;) {
      yield* this.#waiting();
      if (this.#inHand === 0) return;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  *#waiting(): Generator<ConversionTask> {
    for (let task = this.#hashes.shift(); task !== undefined; task = this.#hashes.shift()) {
      this.#inHand++;
      yield task;
    }
  }
}
