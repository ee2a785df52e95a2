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

/** Columns whose errors reach those that follow in one product of matrices. */
const BLOCK = 128;
/** Columns whose errors reach those that follow in their block in one product. */
const PART = 32;

/**
 * Rounds columns in the order of the feedback; a weight is rounded together with what the errors before it add. Between blocks of columns,
 * errors are added by one product. Within blocks arithmetic is F32, operation by operation.
 *
 * @returns codes, rows x columns
 */
export function compensate(params: CompensateParams): Uint8Array {
  const { matrix, grid, feedback, math, fitting } = params;
  const { rows, columns } = matrix;
  const { order, factors } = feedback;
  const natural = order.every((column, place) => column === place);
  const weights = natural ? matrix.values : inOrder(matrix, order);
  const errors = new Float32Array(rows * columns);
  const codes = new Uint8Array(rows * columns);
  const fitted = fitting && matrix.values.slice();
  const tiles = fitting ? tilesOf(columns, order, grid.unit.columns) : [...spans(columns, BLOCK)];
  for (const block of blocksOf(tiles)) {
    const from = block[0]!.start;
    const to = block.at(-1)!.end;
    const width = to - from;
    const targets = new Float32Array(rows * width);
    for (let row = 0; row < rows; row++) {
      targets.set(weights.subarray(row * columns + from, row * columns + to), row * width);
    }
    if (from > 0) {
      math.gemm({
        m: rows,
        n: width,
        k: from,
        a: errors,
        aStride: columns,
        b: factors.subarray(from),
        bStride: columns,
        c: targets,
        accumulate: true,
      });
    }
    const state: State = { rows, columns, order, from, to, weights, targets, errors, factors, codes };
    for (const tile of block) {
      if (fitted) {
        anticipate(state, tile, math, fitted);
        const first = order.subarray(tile.start, tile.end).reduce((least, column) => Math.min(least, column));
        grid.fit({ ...fitting, values: fitted, from: first, to: first + tile.end - tile.start });
      }
      for (const part of spans(tile.end, PART, tile.start)) {
        if (grid.tileCodes) math.compensateColumns({ ...partOf(state, part), tileCodes: grid.tileCodes });
        else roundColumns(state, part, grid);
        spread(state, part, math);
      }
    }
  }
  return natural ? codes : outOfOrder(matrix, order, codes);
}

/** At a block of columns. */
interface State {
  readonly rows: number;
  readonly columns: number;
  readonly order: Int32Array;
  readonly from: number;
  readonly to: number;
  /** rows x columns, by place */
  readonly weights: Float32Array;
  /** rows x (to - from): weights and what errors of earlier columns add. */
  readonly targets: Float32Array;
  /** rows x columns, by place; zero where nothing is rounded yet. */
  readonly errors: Float32Array;
  readonly factors: Float32Array;
  /** rows x columns, by place */
  readonly codes: Uint8Array;
}

/** Some places of a block, for kernels. */
function partOf(
  { rows, columns, order, from, to, weights, targets, errors, factors, codes }: State,
  { start, end }: Span,
): Omit<CompensateColumnsParams, "tileCodes"> & { readonly codes: Uint8Array } {
  return {
    rows,
    columns: end - start,
    totalColumns: columns,
    order: order.subarray(start, end),
    targets: targets.subarray(start - from),
    targetStride: to - from,
    weights: weights.subarray(start),
    weightStride: columns,
    errors: errors.subarray(start),
    errorStride: columns,
    factors: factors.subarray(start * (columns + 1)),
    factorStride: columns,
    codes: codes.subarray(start),
    codeStride: columns,
  };
}

const { fround } = Math;

function roundColumns(
  { rows, columns, order, from, to, weights, targets, errors, factors, codes }: State,
  { start, end }: Span,
  grid: FittedGrid,
): void {
  for (let row = 0; row < rows; row++) {
    const target = targets.subarray(row * (to - from), (row + 1) * (to - from));
    for (let place = start; place < end; place++) {
      const column = order[place]!;
      const code = grid.encode(row, column, target[place - from]!);
      codes[row * columns + place] = code;
      const error = fround(weights[row * columns + place]! - grid.decode(row, column, code));
      errors[row * columns + place] = error;
      const factor = place * columns + from;
      for (let j = place + 1 - from; j < end - from; j++) target[j]! += fround(error * factors[factor + j]!);
    }
  }
}

/** Adds the errors of some columns to those that follow in the block. */
function spread(
  { rows, columns, from, to, targets, errors, factors }: State,
  { start, end }: Span,
  math: MathKernels,
): void {
  if (end === to) return;
  math.gemm({
    m: rows,
    n: to - end,
    k: end - start,
    a: errors.subarray(start),
    aStride: columns,
    b: factors.subarray(start * columns + end),
    bStride: columns,
    c: targets.subarray(end - from),
    cStride: to - from,
    accumulate: true,
  });
}

/**
 * What a tile's weights have become when its first column is reached: those that make up best for the errors before it. They follow from
 * the feedback when each of them is kept as it comes, unrounded.
 */
function anticipate(state: State, tile: Span, math: MathKernels, into: Float32Array): void {
  const { rows, columns, order } = state;
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

/** Tiles that are rounded before their errors are spread, about `BLOCK` columns. */
function blocksOf(tiles: readonly Span[]): Span[][] {
  const blocks: Span[][] = [];
  for (const tile of tiles) {
    const block = blocks.at(-1);
    if (block && tile.end - block[0]!.start <= BLOCK) block.push(tile);
    else blocks.push([tile]);
  }
  return blocks;
}

function inOrder({ rows, columns, values }: Matrix, order: Int32Array): Float32Array {
  const result = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const at = row * columns;
    for (let place = 0; place < columns; place++) result[at + place] = values[at + order[place]!]!;
  }
  return result;
}

function outOfOrder({ rows, columns }: Matrix, order: Int32Array, codes: Uint8Array): Uint8Array {
  const result = new Uint8Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const at = row * columns;
    for (let place = 0; place < columns; place++) result[at + order[place]!] = codes[at + place]!;
  }
  return result;
}
