import { argumentError } from "../arguments.ts";
import { checkCounts, matrix } from "./call.ts";
import type { MathArray, MathBackend } from "./call.ts";

interface ActivationsParams {
  /** rows x columns */
  readonly x: Float32Array;
  /** Elements from row to row. @default columns */
  readonly xStride?: number | undefined;
  readonly rows: number;
  readonly columns: number;
}

/** Arrays have one element per column, which `x` updates: begin with zeros. */
export interface ColumnStatisticsParams extends ActivationsParams {
  /** Of x. */
  readonly sum: Float64Array;
  /** Of x^2. */
  readonly sumOfSquares: Float64Array;
  /** Of |x|. */
  readonly sumOfMagnitudes: Float64Array;
  /** Largest |x|. */
  readonly largest: Float32Array;
}

export interface MagnitudeHistogramParams extends ActivationsParams {
  /** One per bin; whole numbers, exact up to 2^53. */
  readonly counts: Float64Array;
}

/** Of the histogram of magnitudes: 64 octaves of 32. */
export const MAGNITUDE_BINS = 2048;

const LOWEST_OCTAVE = -40;
const BINS_PER_OCTAVE = 32;

/**
 * The magnitude from which on bin `bin` of `magnitudeHistogram` counts, up to and without that of `bin + 1`:
 * `2^(floor(bin / 32) - 40) * (1 + bin % 32 / 32)`, but 0 for bin 0, and infinity for `MAGNITUDE_BINS`, where the last bin ends.
 *
 * @throws QuernError `KERNEL_ARGUMENT` for anything but an integer from 0 to `MAGNITUDE_BINS`.
 */
export function lowerEdgeOfBin(bin: number): number {
  if (!Number.isInteger(bin) || bin < 0 || bin > MAGNITUDE_BINS) {
    throw argumentError(`bin must be an integer from 0 to ${MAGNITUDE_BINS}, not ${bin}`);
  }
  if (bin === 0) return 0;
  if (bin === MAGNITUDE_BINS) return Infinity;
  const octave = Math.floor(bin / BINS_PER_OCTAVE);
  return 2 ** (octave + LOWEST_OCTAVE) * (1 + (bin % BINS_PER_OCTAVE) / BINS_PER_OCTAVE);
}

export function columnStatistics(backend: MathBackend, params: ColumnStatisticsParams): void {
  const { columns, sum, sumOfSquares, sumOfMagnitudes, largest } = params;
  const pieces = piecesOf(backend, params);
  const row = { access: "update", rows: 1, columns } as const;
  const statistics = [
    matrix({ ...row, name: "sum", kind: "F64", data: sum }),
    matrix({ ...row, name: "sumOfSquares", kind: "F64", data: sumOfSquares }),
    matrix({ ...row, name: "sumOfMagnitudes", kind: "F64", data: sumOfMagnitudes }),
    matrix({ ...row, name: "largest", kind: "F32", data: largest }),
  ];
  for (const { numbers, x } of pieces) {
    backend.run({ operation: "columnStatistics", numbers, arrays: [x, ...statistics] });
  }
}

export function magnitudeHistogram(backend: MathBackend, params: MagnitudeHistogramParams): void {
  const pieces = piecesOf(backend, params);
  const shape = { access: "update", rows: 1, columns: MAGNITUDE_BINS } as const;
  const counts = matrix({ ...shape, name: "counts", kind: "F64", data: params.counts });
  for (const { numbers, x } of pieces) {
    backend.run({ operation: "magnitudeHistogram", numbers, arrays: [x, counts] });
  }
}

/** Rows of `x` in pieces that a backend should copy, one after the other. */
function piecesOf(
  backend: MathBackend,
  { x, rows, columns, xStride = columns }: ActivationsParams,
): readonly { readonly numbers: readonly number[]; readonly x: MathArray }[] {
  checkCounts({ rows, columns });
  const shape = { name: "x", kind: "F32", access: "read", columns, stride: xStride } as const;
  const whole = matrix({ ...shape, data: x, rows });
  const step = Math.max(1, Math.floor(backend.pieceBytes / Math.max(1, whole.strideBytes)));
  if (rows <= step) return [{ numbers: [rows, columns, xStride], x: whole }];
  return Array.from({ length: Math.ceil(rows / step) }, (_, piece) => {
    const count = Math.min(step, rows - piece * step);
    const data = x.subarray(piece * step * xStride);
    return { numbers: [count, columns, xStride], x: matrix({ ...shape, data, rows: count }) };
  });
}
