import type { HttpFields } from "@quern/tensor";

/** Fields of a header. `Headers` would load the `fetch` of Node in every thread. */
export class AnswerFields implements HttpFields {
  readonly #fields = new Map<string, string>();

  constructor(fields: Iterable<readonly [name: string, value: string]>) {
    for (const [name, value] of fields) {
      const key = name.toLowerCase();
      const before = this.#fields.get(key);
      this.#fields.set(key, before === undefined ? value : `${before}, ${value}`);
    }
  }

  get(name: string): string | null {
    return this.#fields.get(name.toLowerCase()) ?? null;
  }

  [Symbol.iterator](): Iterator<[string, string]> {
    return this.#fields[Symbol.iterator]();
  }
}
