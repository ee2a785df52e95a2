import { ELEMENT_TYPES } from "@quern/tensor";
import type { TensorExpression } from "../expression.ts";
import type { Operation } from "../operation.ts";
import { describeType, invalid, rowShape } from "../row-shape.ts";

interface Transpose extends TensorExpression {
  readonly inputs: readonly [TensorExpression];
}

/** Bytes of input rows that are held at a time; every slab of the result reads its whole matrix in such strips. */
const STRIP_BYTES = 4 * 1024 * 1024;

/** The last two axes exchanged. */
export function transpose(input: TensorExpression): TensorExpression {
  return { operation: "transpose", inputs: [input] };
}

export const transposeOperation: Operation<Transpose> = {
  name: "transpose",
  exchangesAxes: true,
  type({ inputs }, { typeOf }) {
    const { type, shape } = typeOf(inputs[0]);
    if (shape.length < 2 || ELEMENT_TYPES[type].bits % 8 !== 0) {
      throw invalid(
        `transpose of ${describeType({ type, shape })}: expected a matrix of whole-byte elements`,
      );
    }
    return { type, shape: [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!] };
  },
  async rows(expression, { start, count }, { typeOf, rowsOf }) {
    const [input] = expression.inputs;
    const inputType = typeOf(input);
    const inputRows = inputType.shape.at(-2)!;
    const { columns: inputColumns, rowBytes: inputRowBytes } = rowShape(inputType);
    const elementBytes = ELEMENT_TYPES[inputType.type].bits / 8;
    const result = new Uint8Array(count * inputRows * elementBytes);
    const stripRows = Math.max(1, Math.floor(STRIP_BYTES / inputRowBytes));
    const end = start + count;
    for (let position = start; position < end;) {
      const matrix = Math.floor(position / inputColumns);
      const firstColumn = position - matrix * inputColumns;
      const columns = Math.min(end - position, inputColumns - firstColumn);
      for (let row = 0; row < inputRows; row += stripRows) {
        const rows = Math.min(stripRows, inputRows - row);
        const strip = await rowsOf(input, matrix * inputRows + row, rows);
        turn({
          from: { bytes: strip, stride: inputColumns, offset: firstColumn },
          to: { bytes: result, stride: inputRows, offset: (position - start) * inputRows + row },
          rows,
          columns,
          elementBytes,
        });
      }
      position += columns;
    }
    return result;
  },
};

/** A matrix inside an array of elements; stride and offset in elements. */
interface Window {
  readonly bytes: Uint8Array;
  readonly stride: number;
  readonly offset: number;
}

function turn(params: {
  from: Window;
  to: Window;
  rows: number;
  columns: number;
  elementBytes: number;
}): void {
  const { from, to, rows, columns, elementBytes } = params;
  const read = elements(from.bytes, elementBytes);
  const write = elements(to.bytes, elementBytes);
  for (let column = 0; column < columns; column++) {
    const target = to.offset + column * to.stride;
    const first = from.offset + column;
    for (let row = 0; row < rows; row++) write[target + row] = read[first + row * from.stride]!;
  }
}

type Elements = Uint8Array | Uint16Array | Uint32Array | BigUint64Array;

/** A view of whole elements; bytes that do not begin at a multiple of the element size are copied. */
function elements(bytes: Uint8Array, elementBytes: number): { [index: number]: Elements[number] } {
  const { buffer, byteOffset, byteLength } = byteOffsetFits(bytes, elementBytes) ? bytes : bytes.slice();
  const length = byteLength / elementBytes;
  switch (elementBytes) {
    case 1:
      return new Uint8Array(buffer, byteOffset, length);
    case 2:
      return new Uint16Array(buffer, byteOffset, length);
    case 4:
      return new Uint32Array(buffer, byteOffset, length);
    default:
      return new BigUint64Array(buffer, byteOffset, length);
  }
}

function byteOffsetFits(bytes: Uint8Array, elementBytes: number): boolean {
  return bytes.byteOffset % elementBytes === 0;
}
