import { createHash } from "node:crypto";

/** SHA-256 of a value as JSON. @returns hexadecimal digits in lower case */
export function digestOf(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}
