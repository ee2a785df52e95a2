import { ELEMENT_TYPES } from "@quern/tensor";
import { checkDecodable, decodeElements } from "../element-codec.ts";
import type { TensorExpression } from "../expression.ts";
import type { Operation } from "../operation.ts";

interface ToFloat32 extends TensorExpression {
  readonly inputs: readonly [TensorExpression];
}

/** Elements of any numeric type as F32, rounded to nearest. */
export function toFloat32(input: TensorExpression): TensorExpression {
  return { operation: "to-float32", inputs: [input] };
}

export const toFloat32Operation: Operation<ToFloat32> = {
  name: "to-float32",
  addend: () => 0,
  moveRows: (_, [labels]) => labels,
  type({ inputs }, { typeOf }) {
    const { type, shape } = typeOf(inputs[0]);
    checkDecodable(type);
    return { type: "F32", shape };
  },
  async rows({ inputs: [input] }, { start, count }, { typeOf, rowsOf }) {
    const { type } = typeOf(input);
    const bytes = await rowsOf(input, start, count);
    const result = new DataView(new ArrayBuffer((bytes.byteLength * 32) / ELEMENT_TYPES[type].bits));
    decodeElements({ type, bytes, visit: (value, index) => result.setFloat32(index * 4, value, true) });
    return new Uint8Array(result.buffer);
  },
};
