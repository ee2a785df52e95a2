import type { QuantizedMatrix } from "@quern/quantize";
import { byteSize, type ElementType, QuernError } from "@quern/tensor";
import {
  type Layer,
  type LayerConstants,
  type Part,
  type PartBytes,
  type QuantizedFormat,
  type Window,
  wholeWindow,
} from "./format.ts";
import { mismatch } from "./matrix-form.ts";

/**
 * Checks that a layer can be stored, which needs no weights.
 *
 * @param module Name of the layer, for messages.
 * @throws QuernError `FORMAT_CANNOT_HOLD`
 */
export function checkLayer(format: QuantizedFormat, layer: Layer, module: string): void {
  const { rows, columns } = layer;
  const whole = Number.isSafeInteger(rows) && Number.isSafeInteger(columns) && rows > 0 && columns > 0;
  const problems = whole ? format.problems(layer) : [`${rows} x ${columns} weights: expected one or more`];
  if (problems.length === 0) return;
  throw new QuernError(
    "FORMAT_CANNOT_HOLD",
    `"${module}" cannot be stored as ${format.name}: ${problems.join("; ")}`,
    { subject: { tensor: module } },
  );
}

/** A tensor of a quantized layer. */
export interface LayerTensor {
  readonly name: string;
  readonly suffix: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
}

/**
 * The tensors that a layer becomes, before any weight is read.
 *
 * @throws QuernError `FORMAT_CANNOT_HOLD`
 */
export function layerTensors(format: QuantizedFormat, layer: Layer, module: string): LayerTensor[] {
  checkLayer(format, layer, module);
  return format
    .parts(layer)
    .map(({ suffix, type, shape }) => ({ name: `${module}${suffix}`, suffix, type, shape }));
}

/**
 * Bytes of the tensors of a layer, by suffix.
 *
 * @throws QuernError `FORMAT_CANNOT_HOLD`, `FORMAT_READ_ONLY`, `FORMAT_MATRIX_INVALID` for a matrix that is not of the form that the
 * layer's parameters say, or holds a scale that is no value of its element type
 */
export function packLayer(params: {
  format: QuantizedFormat;
  layer: Layer;
  matrix: QuantizedMatrix;
  constants?: LayerConstants;
  module: string;
}): PartBytes {
  const { format, layer, matrix, constants = {}, module } = params;
  checkLayer(format, layer, module);
  if (format.pack === undefined) {
    throw new QuernError("FORMAT_READ_ONLY", `"${module}": ${format.name} can be read and not written`, {
      subject: { tensor: module },
    });
  }
  const problem = mismatch(matrix, layer, format.form(layer));
  if (problem !== undefined) throw about(module, "FORMAT_MATRIX_INVALID", problem);
  return named(module, () => format.pack!(matrix, layer, constants));
}

/**
 * The codes of a layer, or of a window of it.
 *
 * @param params.bytes Of every part, the rows that the window needs.
 * @param params.window It begins at multiples of the steps of `windows`. @default all of the layer
 * @throws QuernError `FORMAT_CANNOT_HOLD`, `FORMAT_PARTS_INVALID` for parts that are missing, of another size, or without meaning
 */
export function unpackLayer(params: {
  format: QuantizedFormat;
  layer: Layer;
  bytes: PartBytes;
  window?: Window;
  module: string;
}): QuantizedMatrix {
  const { format, layer, bytes, module, window = wholeWindow(layer) } = params;
  checkLayer(format, layer, module);
  for (const part of format.parts(layer)) {
    const found = bytes.get(part.suffix)?.byteLength;
    if (part.informative) continue;
    const size = neededBytes(part, window);
    if (found === size) continue;
    const what = found === undefined ? "is missing" : `has ${found} bytes`;
    throw about(module, "FORMAT_PARTS_INVALID", `"${module}${part.suffix}" ${what}: expected ${size} bytes`);
  }
  return named(module, () => format.unpack(bytes, layer, window));
}

function neededBytes({ type, shape, needs }: Part, window: Window): number {
  return byteSize({ type, shape: [needs(window).count, shape.at(-1) ?? 1] });
}

function about(module: string, code: string, message: string, cause?: unknown): QuernError {
  return new QuernError(code, `"${module}": ${message}`, { subject: { tensor: module }, cause });
}

/** Adds the name of the module to errors that do not know it. */
function named<T>(module: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    if (!(cause instanceof QuernError)) throw cause;
    throw about(module, cause.code, cause.message, cause);
  }
}
