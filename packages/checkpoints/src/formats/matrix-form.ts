import type { QuantizedMatrix } from "@quern/quantize";
import { decodeElements, type ElementType, encodeElements } from "@quern/tensor";
import type { Layer, MatrixForm } from "./format.ts";
import { sameValues } from "./values.ts";

/** Why a matrix is not of a form; undefined when it is. */
export function mismatch(matrix: QuantizedMatrix, layer: Layer, form: MatrixForm): string | undefined {
  const { rows, columns, parameters } = layer;
  const { codes, scales, zeros, offsets, values, groupIndex } = matrix;
  const tile = { rows: Math.min(rows, matrix.tile.rows), columns: Math.min(columns, matrix.tile.columns) };
  const expected = { rows: Math.min(rows, form.tile.rows), columns: Math.min(columns, form.tile.columns) };
  const tiles = Math.ceil(rows / expected.rows) * Math.ceil(columns / expected.columns);
  const limit = 2 ** parameters.bits;
  const wrongZero = zeros?.findIndex(
    (zero) => zero < (form.zeros?.smallest ?? 0) || zero > (form.zeros?.largest ?? 0),
  );
  const checks: [boolean, () => string][] = [
    [
      matrix.rows === rows && matrix.columns === columns,
      () => `${matrix.rows} x ${matrix.columns} codes: expected ${rows} x ${columns}`,
    ],
    [matrix.bits === parameters.bits, () => `codes of ${matrix.bits} bits: expected ${parameters.bits}`],
    [codes.length === rows * columns, () => `${codes.length} codes: expected ${rows * columns}`],
    [
      tile.rows === expected.rows && tile.columns === expected.columns,
      () => `tiles of ${tile.rows} x ${tile.columns}: expected ${expected.rows} x ${expected.columns}`,
    ],
    [scales.length === tiles, () => `${scales.length} scales: expected ${tiles}`],
    [
      (zeros?.length ?? 0) === (form.zeros === undefined ? 0 : tiles),
      () => `${zeros?.length ?? "no"} zeros: expected ${form.zeros === undefined ? "none" : tiles}`,
    ],
    [
      (offsets?.length ?? 0) === (form.offsets === undefined ? 0 : tiles),
      () => `${offsets?.length ?? "no"} offsets: expected ${form.offsets === undefined ? "none" : tiles}`,
    ],
    [
      form.values === undefined
        ? values === undefined
        : values !== undefined && sameValues(values, form.values),
      () => "the values of codes are not those of the format",
    ],
    [
      groupIndex === undefined || parameters.actOrder === true,
      () => "a group for each input: expected groups in order",
    ],
    [
      groupIndex === undefined || groupIndex.length === columns,
      () => `${groupIndex!.length} groups of inputs: expected ${columns}`,
    ],
    [
      groupIndex?.every((group) => group >= 0 && group < tiles / Math.ceil(rows / expected.rows)) ?? true,
      () => "an input is of a group that there is not",
    ],
    [
      wrongZero === undefined || wrongZero < 0,
      () =>
        `the zero of tile ${wrongZero} is ${zeros![wrongZero!]}: expected ${form.zeros!.smallest} to ${form.zeros!.largest}`,
    ],
    [bitsOf(codes) < limit, () => `a code is larger than ${limit - 1}`],
  ];
  const failed = checks.find(([holds]) => !holds);
  return (
    failed?.[1]() ??
    notOfType("scale", scales, form.scaleType ?? "F32") ??
    notOfType("offset", offsets, form.offsets)
  );
}

/** The first number that is not finite or not a value of an element type. */
function notOfType(
  what: string,
  numbers: Float32Array | undefined,
  type: ElementType | undefined,
): string | undefined {
  if (numbers === undefined || type === undefined) return undefined;
  const stored = decodeElements({ type, bytes: encodeElements({ type, values: numbers }) });
  const wrong = numbers.findIndex((value, index) => !Number.isFinite(value) || stored[index] !== value);
  return wrong < 0
    ? undefined
    : `the ${what} of tile ${wrong} is ${numbers[wrong]}: expected a finite value of ${type}`;
}

/** The bits that are set in any of the codes. */
function bitsOf(codes: Uint8Array): number {
  let bits = 0;
  for (let index = 0; index < codes.length; index++) bits |= codes[index]!;
  return bits;
}
