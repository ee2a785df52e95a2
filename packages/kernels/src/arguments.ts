import { QuernError } from "@quern/tensor";

/** Rows and columns are 32-bit numbers in Wasm. */
const MAX_COUNT = 2 ** 31 - 1;

export function argumentError(message: string): QuernError {
  return new QuernError("KERNEL_ARGUMENT", message);
}

export function checkCount(what: string, count: number): void {
  if (!Number.isInteger(count) || count < 0 || count > MAX_COUNT) {
    throw argumentError(`${what} must be an integer from 0 to ${MAX_COUNT}, not ${count}`);
  }
}
