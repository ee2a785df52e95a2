import type { GgufMetadata, GgufScalar, GgufValue } from "@quern/gguf";
import { QuernError } from "@quern/tensor";

const isInteger = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isNumber = (value: unknown): value is number => Number.isFinite(value);

/** Values of the metadata below the architecture's prefix, checked as they are read. */
export class ModelHyperparameters {
  readonly #metadata: GgufMetadata;
  readonly #prefix: string;

  constructor(architecture: string, metadata: GgufMetadata) {
    this.#metadata = metadata;
    this.#prefix = `${architecture}.`;
  }

  /** @throws QuernError `FORWARD_METADATA` when it is missing or no whole number */
  integer(key: string): number {
    return this.optionalInteger(key) ?? this.#missing(key);
  }

  /** @throws QuernError `FORWARD_METADATA` unless it is a whole number */
  optionalInteger(key: string): number | undefined {
    return this.#scalar(key, isInteger, "a whole number");
  }

  /** @throws QuernError `FORWARD_METADATA` when it is missing or no number */
  number(key: string): number {
    return this.optionalNumber(key) ?? this.#missing(key);
  }

  /** @throws QuernError `FORWARD_METADATA` unless it is a number */
  optionalNumber(key: string): number | undefined {
    return this.#scalar(key, isNumber, "a number");
  }

  /** @throws QuernError `FORWARD_METADATA` unless it is true or false */
  optionalBoolean(key: string): boolean | undefined {
    return this.#scalar(key, (value) => typeof value === "boolean", "true or false");
  }

  /** @throws QuernError `FORWARD_METADATA` unless it is a string */
  optionalString(key: string): string | undefined {
    return this.#scalar(key, (value) => typeof value === "string", "a string");
  }

  /** Element `layer` of an array with one truth value for each block. */
  optionalBooleanOf(key: string, layer: number): boolean | undefined {
    const value = this.#metadata.get(this.#prefix + key);
    if (value === undefined || value.type !== "array") return undefined;
    const element = layer < value.length ? value.at(layer) : undefined;
    return typeof element === "boolean"
      ? element
      : this.#wrong(key, `truth values for more than ${layer} blocks`);
  }

  #scalar<T extends GgufScalar>(
    key: string,
    fits: (value: GgufScalar) => value is T & GgufScalar,
    expected: string,
  ): T | undefined {
    const found = this.#metadata.get(this.#prefix + key);
    if (found === undefined) return undefined;
    const value = plain(found);
    return value !== undefined && fits(value) ? value : this.#wrong(key, expected);
  }

  #missing(key: string): never {
    throw this.#error(key, `the metadata have no ${this.#prefix}${key}, which the forward pass needs`);
  }

  #wrong(key: string, expected: string): never {
    throw this.#error(key, `${this.#prefix}${key} cannot be used in the forward pass: expected ${expected}`);
  }

  #error(key: string, message: string): QuernError {
    return new QuernError("FORWARD_METADATA", message, { subject: { key: this.#prefix + key } });
  }
}

/** A scalar, 64-bit integers as numbers; undefined for arrays. */
function plain(value: GgufValue): GgufScalar | undefined {
  if (value.type === "array") return undefined;
  return typeof value.value === "bigint" ? Number(value.value) : value.value;
}
