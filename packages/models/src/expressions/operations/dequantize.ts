import {
  dequantize,
  formatOf,
  type Layer,
  type PartBytes,
  unpackLayer,
  type Window,
} from "@quern/checkpoints/formats";
import { elementCount } from "@quern/tensor";
import type { TensorExpression } from "../expression.ts";
import type { Operation, OperationContext } from "../operation.ts";
import { describeType, invalid } from "../row-shape.ts";

interface Dequantize extends TensorExpression {
  /** Of the weight, as if the checkpoint were not quantized. */
  readonly name: string;
  /** Name of a format of `@quern/checkpoints`. */
  readonly format: string;
  readonly layer: Layer;
  readonly shape: readonly number[];
  /** What the parts of the layer are called, in the order of the inputs. */
  readonly suffixes: readonly string[];
}

/** Bytes of codes that are held at a time where every slab of outputs needs codes from all of the layer. */
const STRIP_BYTES = 4 * 1024 * 1024;

/**
 * The weight of a quantized linear layer, F32.
 *
 * @param params.name Of the weight, as if the checkpoint were not quantized.
 * @param params.parts Tensors that the layer consists of, by suffix.
 * @param params.shape Of the weight: the layer's outputs, in one or more dimensions, and its inputs.
 */
export function dequantizeLayer(params: {
  name: string;
  format: string;
  layer: Layer;
  parts: readonly { readonly suffix: string; readonly expression: TensorExpression }[];
  shape: readonly number[];
}): TensorExpression {
  const { name, format, layer, parts, shape } = params;
  return {
    operation: "dequantize",
    name,
    inputs: parts.map(({ expression }) => expression),
    format,
    layer,
    shape,
    suffixes: parts.map(({ suffix }) => suffix),
  };
}

export const dequantizeOperation: Operation<Dequantize> = {
  name: "dequantize",
  result: "allocated",
  isTensor: true,
  type(expression, { typeOf }) {
    const { layer, shape } = expression;
    if (elementCount(shape) !== layer.rows * layer.columns || shape.at(-1) !== layer.columns) {
      throw invalid(`dequantize of ${layer.rows} x ${layer.columns} weights to [${shape.join(", ")}]`);
    }
    for (const { part, input } of neededParts(expression)) {
      const found = typeOf(input);
      if (elementCount(found.shape) === elementCount(part.shape) && found.shape.at(-1) === part.shape.at(-1))
        continue;
      throw invalid(`dequantize: ${part.suffix} is ${describeType(found)}: expected ${describeType(part)}`);
    }
    return { type: "F32", shape };
  },
  // A byte for each code.
  ownBytes: ({ shape }) => elementCount(shape),
  async rows(expression, { start, count }, context) {
    const { layer } = expression;
    const format = formatOf(expression.format);
    const { along, rowStep, columnStep } = format.windows(layer);
    const first = start - (start % rowStep);
    const end = Math.min(layer.rows, Math.ceil((start + count) / rowStep) * rowStep);
    const stripSize = (STRIP_BYTES * 8) / layer.parameters.bits / layer.rows;
    const stripColumns =
      along === "rows"
        ? layer.columns
        : Math.max(columnStep, Math.floor(stripSize / columnStep) * columnStep);
    const bytes = context.allocate((end - first) * layer.columns * 4);
    const weights = new Float32Array(bytes.buffer, bytes.byteOffset, (end - first) * layer.columns);
    for (let column = 0; column < layer.columns; column += stripColumns) {
      const columns = Math.min(stripColumns, layer.columns - column);
      const window = {
        rows: { start: first, count: end - first },
        columns: { start: column, count: columns },
      };
      const parts = await partsOf(expression, window, context);
      const matrix = unpackLayer({ format, layer, bytes: parts, window, module: expression.format });
      if (columns === layer.columns) dequantize(matrix, weights);
      else placeColumns(dequantize(matrix), { into: weights, columns, column, stride: layer.columns });
    }
    const rowBytes = layer.columns * 4;
    return bytes.subarray((start - first) * rowBytes, (start - first + count) * rowBytes);
  },
};

function neededParts({ format, layer, suffixes, inputs = [] }: Dequantize): {
  part: ReturnType<ReturnType<typeof formatOf>["parts"]>[number];
  input: TensorExpression;
}[] {
  return formatOf(format)
    .parts(layer)
    .filter(({ informative }) => !informative)
    .map((part) => {
      const input = inputs[suffixes.indexOf(part.suffix)];
      if (input === undefined) throw invalid(`dequantize of ${format} without ${part.suffix}`);
      return { part, input };
    });
}

async function partsOf(
  expression: Dequantize,
  window: Window,
  { rowsOf }: OperationContext,
): Promise<PartBytes> {
  const read = neededParts(expression).map(async ({ part, input }): Promise<[string, Uint8Array]> => {
    const { start, count } = part.needs(window);
    return [part.suffix, await rowsOf(input, start, count)];
  });
  return new Map(await Promise.all(read));
}

/** Puts a matrix into some columns of a wider one. */
function placeColumns(
  from: Float32Array,
  { into, columns, column, stride }: { into: Float32Array; columns: number; column: number; stride: number },
): void {
  for (let row = 0; row * columns < from.length; row++) {
    into.set(from.subarray(row * columns, (row + 1) * columns), row * stride + column);
  }
}
