import { QuernError } from "@quern/tensor";
import { isJsonObject, type JsonObject } from "../json-file.ts";

/** Largest value of the uint32 that GGUF stores whole numbers in, and of its float32. */
const LARGEST_INTEGER = 2 ** 32 - 1;
const LARGEST_NUMBER = (2 - 2 ** -23) * 2 ** 127;

const isNumber = (value: unknown): value is number =>
  typeof value === "number" && Math.abs(value) <= LARGEST_NUMBER;
const isString = (value: unknown): value is string => typeof value === "string";

/**
 * Values of config.json, checked as they are read. Where several keys are given, they are names of one thing: the first that
 * the configuration has counts, and null there means that there is no value.
 */
export class Config {
  readonly #values: JsonObject;
  /** "rope_parameters." inside that object, for messages. */
  readonly #prefix: string;

  constructor(values: JsonObject, prefix = "") {
    this.#values = values;
    this.#prefix = prefix;
  }

  has(key: string): boolean {
    return Object.hasOwn(this.#values, key);
  }

  /** The value as it stands; undefined when it is missing or null. */
  value(...keys: string[]): unknown {
    const key = this.#find(keys);
    return key === undefined ? undefined : (this.#values[key] ?? undefined);
  }

  /** @throws QuernError `MODEL_CONFIG_KEY_MISSING`, `MODEL_CONFIG_VALUE_INVALID` */
  integer(...keys: string[]): number {
    return this.optionalInteger(...keys) ?? this.#missing(keys);
  }

  /** @throws QuernError `MODEL_CONFIG_VALUE_INVALID` unless it is a whole number that fits in 32 bits */
  optionalInteger(...keys: string[]): number | undefined {
    const value = this.value(...keys);
    if (value === undefined) return undefined;
    const valid =
      typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= LARGEST_INTEGER;
    return valid ? value : this.#wrong(keys, "a whole number from 0 to 4294967295");
  }

  /**
   * A whole number of at least 1 and at most `limit`, for what is divided by or counted up to.
   *
   * @throws QuernError `MODEL_CONFIG_KEY_MISSING`, `MODEL_CONFIG_VALUE_INVALID`
   */
  count({ keys, limit }: { keys: readonly string[]; limit: number }): number {
    const value = this.integer(...keys);
    return value >= 1 && value <= limit ? value : this.#wrong(keys, `a whole number from 1 to ${limit}`);
  }

  /** @throws QuernError `MODEL_CONFIG_KEY_MISSING`, `MODEL_CONFIG_VALUE_INVALID` */
  number(...keys: string[]): number {
    return this.optionalNumber(...keys) ?? this.#missing(keys);
  }

  /** @throws QuernError `MODEL_CONFIG_VALUE_INVALID` */
  optionalNumber(...keys: string[]): number | undefined {
    const value = this.value(...keys);
    return value === undefined || isNumber(value)
      ? value
      : this.#wrong(keys, "a number that fits in a float32");
  }

  /** @throws QuernError `MODEL_CONFIG_VALUE_INVALID` */
  optionalBoolean(...keys: string[]): boolean | undefined {
    const value = this.value(...keys);
    return value === undefined || typeof value === "boolean" ? value : this.#wrong(keys, "true or false");
  }

  /** @throws QuernError `MODEL_CONFIG_VALUE_INVALID` */
  optionalString(...keys: string[]): string | undefined {
    const value = this.value(...keys);
    return value === undefined || isString(value) ? value : this.#wrong(keys, "a string");
  }

  /** @throws QuernError `MODEL_CONFIG_VALUE_INVALID` */
  optionalNumbers(...keys: string[]): readonly number[] | undefined {
    return this.#optionalList(keys, "numbers", isNumber) as readonly number[] | undefined;
  }

  /** @throws QuernError `MODEL_CONFIG_VALUE_INVALID` */
  optionalStrings(...keys: string[]): readonly string[] | undefined {
    return this.#optionalList(keys, "strings", isString) as readonly string[] | undefined;
  }

  /** @throws QuernError `MODEL_CONFIG_VALUE_INVALID` */
  optionalObject(...keys: string[]): JsonObject | undefined {
    const value = this.value(...keys);
    return value === undefined || isJsonObject(value) ? value : this.#wrong(keys, "an object");
  }

  /** The same configuration with other values for some keys. */
  with(values: JsonObject): Config {
    return new Config({ ...this.#values, ...values }, this.#prefix);
  }

  /** An error about the value of the first of `keys` that the configuration has. */
  error(keys: readonly string[], expected: string): QuernError {
    const key = this.#prefix + (this.#find(keys) ?? keys[0]);
    return new QuernError(
      "MODEL_CONFIG_VALUE_INVALID",
      `config.json: ${key} is ${abbreviate(this.value(...keys))}: expected ${expected}`,
      { subject: { file: "config.json", key } },
    );
  }

  #optionalList(
    keys: readonly string[],
    what: string,
    accepts: (element: unknown) => boolean,
  ): readonly unknown[] | undefined {
    const value = this.value(...keys);
    if (value === undefined) return undefined;
    return Array.isArray(value) && value.every(accepts) ? value : this.#wrong(keys, `an array of ${what}`);
  }

  #find(keys: readonly string[]): string | undefined {
    return keys.find((key) => this.has(key));
  }

  #missing(keys: readonly string[]): never {
    const [first, ...others] = keys.map((key) => this.#prefix + key);
    const also = others.length === 0 ? "" : ` (or ${others.join(", ")})`;
    throw new QuernError(
      "MODEL_CONFIG_KEY_MISSING",
      `config.json has no ${first}${also}, which this architecture needs`,
      {
        subject: { file: "config.json", key: first! },
      },
    );
  }

  #wrong(keys: readonly string[], expected: string): never {
    throw this.error(keys, expected);
  }
}

function abbreviate(value: unknown): string {
  const text = JSON.stringify(value) ?? "missing";
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
