import { sha256Of } from "@quern/tensor/node";

/** SHA-256 of a value as JSON. @returns hexadecimal digits in lower case */
export function digestOf(value: unknown): string {
  return sha256Of(JSON.stringify(value));
}
