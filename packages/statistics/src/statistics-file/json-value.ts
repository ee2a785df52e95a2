import type { JsonValue } from "./description.ts";

/** A value somewhere in a JSON text that others wrote, read by saying what it has to be. */
export class ReadJson {
  readonly #value: unknown;
  readonly #place: string;
  readonly #error: (problem: string) => Error;

  private constructor(value: unknown, place: string, error: (problem: string) => Error) {
    this.#value = value;
    this.#place = place;
    this.#error = error;
  }

  /**
   * @param params.place What messages call the value.
   * @param params.error Makes an error of a problem.
   */
  static parse(params: { text: string; place: string; error: (problem: string) => Error }): ReadJson {
    const { text, place, error } = params;
    try {
      return new ReadJson(JSON.parse(text), place, error);
    } catch {
      throw error(`${place} is not JSON`);
    }
  }

  get string(): string {
    return typeof this.#value === "string" ? this.#value : this.#wrong("a string");
  }

  get boolean(): boolean {
    return typeof this.#value === "boolean" ? this.#value : this.#wrong("true or false");
  }

  /** A whole number from 0 on. */
  get count(): number {
    const value = this.#value;
    const fits = typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
    return fits ? value : this.#wrong("a whole number from 0 on");
  }

  get array(): ReadJson[] {
    if (!Array.isArray(this.#value)) return this.#wrong("an array");
    return this.#value.map((value, index) => new ReadJson(value, `${this.#place}[${index}]`, this.#error));
  }

  /** An element of an array. */
  element(index: number): ReadJson {
    const array = this.array;
    return array[index] ?? new ReadJson(undefined, `${this.#place}[${index}]`, this.#error);
  }

  /** A member of an object. */
  member(key: string): ReadJson {
    const object = this.object;
    return new ReadJson(
      Object.hasOwn(object, key) ? object[key] : undefined,
      `${this.#place}.${key}`,
      this.#error,
    );
  }

  /** A member of an object that may be missing. */
  optionalMember(key: string): ReadJson | undefined {
    return Object.hasOwn(this.object, key) ? this.member(key) : undefined;
  }

  /** An object whose members may be anything. */
  get object(): Readonly<Record<string, JsonValue>> {
    const value = this.#value;
    const fits = typeof value === "object" && value !== null && !Array.isArray(value);
    return fits ? (value as Record<string, JsonValue>) : this.#wrong("an object");
  }

  #wrong(expected: string): never {
    const shown = JSON.stringify(this.#value)?.slice(0, 40) ?? "missing";
    throw this.#error(`${this.#place} is ${shown}: expected ${expected}`);
  }
}
