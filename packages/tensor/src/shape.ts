import { type ElementType, elementTypeTraits } from "./element-type.ts";
import { type ErrorSubject, QuernError } from "./error.ts";

/**
 * Product of the dimensions of `shape`; 1 for a scalar (`[]`).
 *
 * Dimensions are multiplied from left to right and every partial product is checked, as the safetensors reference does
 * (`Metadata::validate` in safetensors/src/tensor.rs): `[2 ** 40, 2 ** 40, 0]` is an overflow, `[0, 2 ** 40, 2 ** 40]` is 0.
 *
 * @param subject File and tensor for error messages.
 * @throws QuernError `TENSOR_SHAPE_INVALID` when a dimension is not an integer of 0 or more, `TENSOR_SHAPE_OVERFLOW` when
 * a dimension or product is beyond 2^53 - 1.
 */
export function elementCount(shape: readonly number[], subject: ErrorSubject = {}): number {
  let count = 1;
  for (const dimension of shape) {
    if (!Number.isInteger(dimension) || dimension < 0) {
      throw new QuernError(
        "TENSOR_SHAPE_INVALID",
        `${describeSubject(subject)}shape [${shape.join(", ")}] has the dimension ${dimension}: expected integers of 0 or more`,
        { subject },
      );
    }
    count *= dimension;
    if (dimension > Number.MAX_SAFE_INTEGER || count > Number.MAX_SAFE_INTEGER)
      throw overflow(shape, subject);
  }
  return count;
}

/**
 * Bytes that a tensor of `type` and `shape` takes, packed types included.
 *
 * @param subject File and tensor for error messages.
 * @throws QuernError as {@link elementCount}; `TENSOR_SHAPE_OVERFLOW` when the size in bits is beyond 2^53 - 1;
 * `TENSOR_SHAPE_NOT_WHOLE_BYTES` when a packed type does not end at a byte boundary (an odd number of F4 elements).
 */
export function byteSize(
  tensor: { readonly type: ElementType; readonly shape: readonly number[] },
  subject: ErrorSubject = {},
): number {
  const bits = elementCount(tensor.shape, subject) * elementTypeTraits(tensor.type).bits;
  if (bits > Number.MAX_SAFE_INTEGER) throw overflow(tensor.shape, subject);
  if (bits % 8 !== 0) {
    throw new QuernError(
      "TENSOR_SHAPE_NOT_WHOLE_BYTES",
      `${describeSubject(subject)}${tensor.type} elements of shape [${tensor.shape.join(", ")}] take ${bits} bits: expected a multiple of 8`,
      { subject },
    );
  }
  return bits / 8;
}

function overflow(shape: readonly number[], subject: ErrorSubject): QuernError {
  return new QuernError(
    "TENSOR_SHAPE_OVERFLOW",
    `${describeSubject(subject)}the size of shape [${shape.join(", ")}] is beyond 2^53 - 1`,
    { subject },
  );
}

function describeSubject(subject: ErrorSubject): string {
  const file = subject.file === undefined ? "" : `${subject.file}: `;
  const tensor = subject.tensor === undefined ? "" : `tensor "${subject.tensor}": `;
  return file + tensor;
}
