import {
  type AllocateShared,
  type InputRequest,
  type InputStatistics,
  type KeptWindows,
  mirrorLowerHalf,
  newShared,
} from "@quern/statistics";
import { checkRange } from "../accumulation/check-range.ts";
import type { InputSumsOfRun } from "./collect-inputs.ts";

/**
 * What has been added up of an input, in memory of its own. Sums are of single precision, as they would be in a statistics file.
 *
 * @param params.input Index of the input.
 * @throws QuernError `CALIBRATION_OVERFLOW`
 */
export function inputStatistics(params: {
  readonly sums: InputSumsOfRun;
  readonly input: number;
  readonly request: InputRequest;
  /** Those that are kept whole, if any are. */
  readonly windows?: KeptWindows | undefined;
}): InputStatistics {
  const { sums, input, request } = params;
  const {
    matrix = 0,
    hessian,
    cross,
    heldOut,
    windows: wantsWindows = false,
    allocate = newShared,
  } = request;
  const { name, columns } = sums.inputs[input]!;
  const { calibration, tokens, holdOut } = sums.memory.sums.get(input)!;
  checkRange(name, calibration.sumOfSquares);
  const of = <Numbers extends Float32Array | Float64Array>(numbers: Numbers): Numbers =>
    numbers.subarray(matrix * columns, (matrix + 1) * columns) as Numbers;
  const count = tokens[matrix]!;
  const rows = holdOut?.samples[matrix]!.rows;
  const windows = wantsWindows ? holdOut?.windows?.rows : undefined;
  return {
    tokens: count,
    mean: means(of(calibration.sum), count),
    meanSquare: means(of(calibration.sumOfSquares), count),
    meanMagnitude: means(of(calibration.sumOfMagnitudes), count),
    largestMagnitude: Float32Array.from(of(calibration.largest)),
    ...(hessian && { hessian: hessianOf(sums, { input, matrix, allocate }) }),
    ...(cross && { cross: crossOf(sums, { input, matrix, allocate }) }),
    ...(heldOut && rows !== undefined && rows.length > 0 && { heldOut: sharedCopy(rows, allocate) }),
    ...(windows && { windows: { rows: sharedCopy(windows, allocate), starts: params.windows!.starts } }),
  };
}

function means(sums: Float64Array, count: number): Float32Array {
  return Float32Array.from(sums, (sum) => (count === 0 ? 0 : Math.fround(sum) / count));
}

interface Place {
  readonly input: number;
  readonly matrix: number;
  readonly allocate: AllocateShared;
}

function hessianOf(
  { inputs, pass, memory }: InputSumsOfRun,
  { input, matrix, allocate }: Place,
): Float64Array {
  const { columns } = inputs[input]!;
  const square = sharedSquare(columns, allocate);
  for (const slice of pass.slices.flat()) {
    if (slice.input !== input || slice.matrix !== matrix) continue;
    const { firstRow, rows } = slice;
    const h = memory.hessians.get(slice)!;
    const stride = firstRow + rows;
    for (let row = 0; row < rows; row++) {
      const from = row * stride;
      const to = (firstRow + row) * columns;
      for (let column = 0; column <= firstRow + row; column++) {
        square[to + column] = Math.fround(h[from + column]!);
      }
    }
  }
  mirrorLowerHalf(square, columns);
  return square;
}

function crossOf({ inputs, cross }: InputSumsOfRun, { input, matrix, allocate }: Place): Float64Array {
  const { columns } = inputs[input]!;
  const square = sharedSquare(columns, allocate);
  for (const slice of cross.get(input)!) {
    if (slice.matrix === matrix) square.set(slice.c, slice.firstRow * columns);
  }
  return square;
}

function sharedSquare(columns: number, allocate: AllocateShared): Float64Array {
  return new Float64Array(allocate(columns * columns * Float64Array.BYTES_PER_ELEMENT));
}

function sharedCopy(values: Float32Array, allocate: AllocateShared): Float32Array {
  const copy = new Float32Array(allocate(values.byteLength));
  copy.set(values);
  return copy;
}
