import { QuernError } from "@quern/tensor";

/** An error about a matrix that a format was given to pack; the module is added by whoever knows its name. */
export function invalidMatrix(message: string): QuernError {
  return new QuernError("FORMAT_MATRIX_INVALID", message);
}

/** An error about bytes that have no meaning in a format. */
export function invalidParts(message: string): QuernError {
  return new QuernError("FORMAT_PARTS_INVALID", message);
}
