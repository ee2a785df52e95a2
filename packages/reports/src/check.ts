/** Says where a value is not what was expected: "conversion.outputs[0].bytes: expected a number". */
export class ReportFormatError extends Error {
  readonly code = "REPORT_FORMAT";
  override readonly name = "ReportFormatError";
}

/** Takes a value apart: gives it back with what is known of it, and without what is not. @throws ReportFormatError */
export type Check<T> = (value: unknown, place: string) => T;

export const text: Check<string> = (value, place) => {
  if (typeof value === "string") return value;
  return refuse(place, "a string");
};

/** Larger than any sum over weights: sums of such numbers are numbers still. */
const LARGEST = 1e100;

/** Finite, and of a size that figures have: JSON can hold others. */
export const number: Check<number> = (value, place) => {
  if (typeof value === "number" && Math.abs(value) <= LARGEST) return value;
  return refuse(place, "a number");
};

/** Not negative. */
export const amount: Check<number> = (value, place) => {
  const known = number(value, place);
  return known >= 0 ? known : refuse(place, "a number of at least 0");
};

export const flag: Check<boolean> = (value, place) => {
  if (typeof value === "boolean") return value;
  return refuse(place, "true or false");
};

export function listOf<T>(item: Check<T>): Check<T[]> {
  return (value, place) => {
    if (!Array.isArray(value)) return refuse(place, "a list");
    return value.map((element, index) => item(element, `${place}[${index}]`));
  };
}

/** An object of which these members must be there, and these may be. */
export function objectOf<T extends object>(members: {
  readonly [Key in keyof T]-?: Member<T, Key>;
}): Check<T> {
  return (value, place) => {
    if (typeof value !== "object" || value === null || Array.isArray(value))
      return refuse(place, "an object");
    const result: Record<string, unknown> = {};
    for (const [key, member] of Object.entries<Check<unknown> | Optional<unknown>>(members)) {
      const inner = Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined;
      const at = place === "" ? key : `${place}.${key}`;
      if (typeof member === "function") result[key] = member(inner, at);
      else if (inner !== undefined) result[key] = member.optional(inner, at);
    }
    return result as T;
  };
}

interface Optional<T> {
  readonly optional: Check<T>;
}

type Member<T, Key extends keyof T> =
  object extends Pick<T, Key> ? Optional<NonNullable<T[Key]>> : Check<T[Key]>;

export function optional<T>(check: Check<T>): Optional<T> {
  return { optional: check };
}

export function refuse(place: string, expected: string): never {
  throw new ReportFormatError(`${place === "" ? "the file" : place}: expected ${expected}`);
}
