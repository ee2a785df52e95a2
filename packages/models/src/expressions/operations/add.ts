import { ELEMENT_TYPES } from "@quern/tensor";
import { checkDecodable, decodeElements, encodeFloat16 } from "../element-codec.ts";
import type { TensorExpression } from "../expression.ts";
import type { Operation } from "../operation.ts";

interface Add extends TensorExpression {
  readonly inputs: readonly [TensorExpression];
  readonly value: number;
}

/**
 * A constant added to every element, in the arithmetic of llama.cpp's converter: F16 stays F16 and rounds to it, every other
 * type becomes F32 first (conversion/base.py, `prepare_tensors`).
 */
export function add(input: TensorExpression, value: number): TensorExpression {
  return { operation: "add", inputs: [input], value };
}

export const addOperation: Operation<Add> = {
  name: "add",
  addend: ({ value }) => value,
  type({ inputs }, { typeOf }) {
    const { type, shape } = typeOf(inputs[0]);
    checkDecodable(type);
    return { type: type === "F16" ? "F16" : "F32", shape };
  },
  async rows({ inputs: [input], value }, { start, count }, { typeOf, rowsOf }) {
    const { type } = typeOf(input);
    const bytes = await rowsOf(input, start, count);
    const elements = (bytes.byteLength * 8) / ELEMENT_TYPES[type].bits;
    const half = type === "F16";
    const result = new DataView(new ArrayBuffer(elements * (half ? 2 : 4)));
    const constant = Math.fround(value);
    decodeElements({
      type,
      bytes,
      visit(element, index) {
        const sum = Math.fround(Math.fround(element) + constant);
        if (half) result.setUint16(index * 2, encodeFloat16(sum), true);
        else result.setFloat32(index * 4, sum, true);
      },
    });
    return new Uint8Array(result.buffer);
  },
};
