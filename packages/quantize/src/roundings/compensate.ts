import type { CompensateColumnsParams, MathKernels } from "@quern/kernels";
import type { Fitting, FittedGrid } from "../grids/grid.ts";
import type { Feedback } from "../hessian/feedback.ts";
import { spans, type Span } from "../hessian/spans.ts";
import type { Matrix } from "../matrix.ts";

export interface CompensateParams {
  readonly matrix: Matrix;
  readonly grid: FittedGrid;
  readonly feedback: Feedback;
  readonly math: MathKernels;
  /** How tiles are fitted when they are entered; the order keeps their columns together. @default they are fitted already */
  readonly fitting?: Fitting | undefined;
}

/** Columns whose errors reach each other one by one. */
const PART = 32;

/**
 * Rounds columns in the order of the feedback; a weight is rounded together with what the errors before it add. Halves are rounded
 * recursively: between them, errors are added by one product of matrices. Within parts arithmetic is F32, operation by operation.
 *
 * @returns codes, rows x columns
 */
export function compensate(params: CompensateParams): Uint8Array {
  const { matrix, grid, feedback, math, fitting } = params;
  const { columns } = matrix;
  const { order, factors } = feedback;
  const natural = order.every((column, place) => column === place);
  const targets = natural ? matrix.values.slice() : reordered(matrix, matrix.values, order, math);
  const weights = natural ? matrix.values : targets.slice();
  const codes = new Uint8Array(targets.length);
  const state: State = { shape: matrix, order, weights, targets, factors, codes, math };
  const roundPart = (part: Span): void => {
    if (grid.tileCodes) math.compensateColumns({ ...partOf(state, part), tileCodes: grid.tileCodes });
    else roundColumns(state, part, grid);
  };
  if (fitting) {
    const values = matrix.values.slice();
    roundInTurn(state, tilesOf(columns, order, grid.unit.columns), (tile) => {
      anticipate(state, tile, values);
      const from = order.subarray(tile.start, tile.end).reduce((least, column) => Math.min(least, column));
      grid.fit({ ...fitting, values, from, to: from + tile.end - tile.start });
      roundInTurn(state, [...spans(tile.end, PART, tile.start)], roundPart);
    });
  } else roundInTurn(state, [...spans(columns, PART)], roundPart);
  return natural ? codes : reordered(matrix, codes, inverseOf(order), math);
}

interface State {
  readonly shape: Pick<Matrix, "rows" | "columns">;
  readonly order: Int32Array;
  /** rows x columns, by place, like all others. */
  readonly weights: Float32Array;
  /** Weights and what errors of earlier columns add; of columns that are rounded their errors. */
  readonly targets: Float32Array;
  readonly factors: Float32Array;
  readonly codes: Uint8Array;
  readonly math: MathKernels;
}

/** Rounds columns that follow each other one after another; the errors of the first half are added to the second before that is rounded. */
function roundInTurn(state: State, columns: readonly Span[], round: (columns: Span) => void): void {
  if (columns.length === 1) {
    round(columns[0]!);
    return;
  }
  const middle = Math.ceil(columns.length / 2);
  roundInTurn(state, columns.slice(0, middle), round);
  spread(state, columns[0]!.start, columns[middle]!.start, columns.at(-1)!.end);
  roundInTurn(state, columns.slice(middle), round);
}

/** Adds the errors of some columns to those that follow. */
function spread(
  { shape: { rows, columns }, targets, factors, math }: State,
  start: number,
  middle: number,
  end: number,
): void {
  math.gemm({
    m: rows,
    n: end - middle,
    k: middle - start,
    a: targets.subarray(start),
    aStride: columns,
    b: factors.subarray(start * columns + middle),
    bStride: columns,
    c: targets.subarray(middle),
    cStride: columns,
    accumulate: true,
  });
}

/** Some places, for kernels. */
function partOf(
  { shape: { rows, columns }, order, weights, targets, factors, codes }: State,
  { start, end }: Span,
): Omit<CompensateColumnsParams, "tileCodes"> {
  return {
    rows,
    columns: end - start,
    totalColumns: columns,
    order: order.subarray(start, end),
    targets: targets.subarray(start),
    targetStride: columns,
    weights: weights.subarray(start),
    weightStride: columns,
    errors: targets.subarray(start),
    errorStride: columns,
    factors: factors.subarray(start * (columns + 1)),
    factorStride: columns,
    codes: codes.subarray(start),
    codeStride: columns,
  };
}

const { fround } = Math;

function roundColumns(
  { shape: { rows, columns }, order, weights, targets, factors, codes }: State,
  { start, end }: Span,
  grid: FittedGrid,
): void {
  for (let row = 0; row < rows; row++) {
    const at = row * columns;
    for (let place = start; place < end; place++) {
      const column = order[place]!;
      const code = grid.encode(row, column, targets[at + place]!);
      codes[at + place] = code;
      const error = fround(weights[at + place]! - grid.decode(row, column, code));
      targets[at + place] = error;
      const factor = place * columns;
      for (let j = place + 1; j < end; j++) targets[at + j]! += fround(error * factors[factor + j]!);
    }
  }
}

/**
 * What a tile's weights have become when its first column is reached: those that make up best for the errors before it. They follow from
 * the feedback when each of them is kept as it comes, unrounded.
 */
function anticipate(state: State, tile: Span, into: Float32Array): void {
  const { shape, order, math } = state;
  const { rows, columns } = shape;
  const width = tile.end - tile.start;
  const values = new Float32Array(rows * width);
  const errors = new Float32Array(rows * width);
  math.compensateColumns({
    ...partOf(state, tile),
    errors,
    errorStride: width,
    codes: undefined,
    values,
    valueStride: width,
  });
  for (let row = 0, i = 0; row < rows; row++) {
    for (let place = tile.start; place < tile.end; place++, i++) {
      into[row * columns + order[place]!] = values[i]!;
    }
  }
}

/** Tiles one after the other; those at the edge, wherever the order has them, are narrower. */
function tilesOf(columns: number, order: Int32Array, width: number): Span[] {
  const tiles: Span[] = [];
  for (let start = 0; start < columns; start = tiles.at(-1)!.end) {
    const atEdge = columns - Math.floor(order[start]! / width) * width;
    tiles.push({ start, end: start + Math.min(width, atEdge) });
  }
  return tiles;
}

/** Column `order[j]` becomes column j. */
function reordered<T extends Float32Array | Uint8Array>(
  { rows, columns }: Pick<Matrix, "rows" | "columns">,
  x: T,
  order: Int32Array,
  math: MathKernels,
): T {
  const y = (x instanceof Float32Array ? new Float32Array(x.length) : new Uint8Array(x.length)) as T;
  math.gatherColumns({ rows, columns, x, y, order });
  return y;
}

function inverseOf(order: Int32Array): Int32Array {
  const inverse = new Int32Array(order.length);
  for (const [place, column] of order.entries()) inverse[column] = place;
  return inverse;
}
