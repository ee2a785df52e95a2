import type { MathKernels } from "@quern/kernels";
import { QuernError } from "@quern/tensor";
import type { Calibrator, RangeSearch } from "../calibrators/calibrator.ts";
import { minMax } from "../calibrators/min-max.ts";
import { tileError, tileErrorInHessian } from "../calibrators/tile-error.ts";
import { type Code, parametersFor, type TileParameters } from "../codes/code.ts";
import type { ScaleStore } from "../scale-store.ts";
import type { FitParams, TileSize } from "./grid.ts";

export interface FitTilesParams extends FitParams {
  readonly rows: number;
  readonly columns: number;
  readonly tile: TileSize;
  readonly code: Code;
  readonly store: ScaleStore;
  /** Gets the parameters of the tile that begins here. */
  readonly write: (row: number, column: number, parameters: TileParameters) => void;
}

/** The columns that are fitted, and what errors count in them. */
interface Fit extends FitTilesParams {
  readonly from: number;
  readonly to: number;
  readonly calibrator: Calibrator;
  /** tiles across x tile columns x tile columns, F32: the blocks of the Hessian that belong to tiles. */
  readonly blocks: Float32Array | undefined;
}

/** Chooses the parameters of tiles by the ranges of their values. */
export function fitTiles(params: FitTilesParams): void {
  const { code, columns, from = 0, to = columns, calibrator = minMax(), math, hessian, tile } = params;
  const blocks = hessian && diagonalBlocks(hessian, columns, tile.columns, { from, to });
  const fit = { ...params, from, to, calibrator, blocks };
  if (math && code.rule && calibrator.search) searchInKernels(fit, math, calibrator.search);
  else fitOneByOne(fit);
}

function diagonalBlocks(
  hessian: Float64Array,
  columns: number,
  width: number,
  { from, to }: { readonly from: number; readonly to: number },
): Float32Array {
  const blocks = new Float32Array(Math.ceil((to - from) / width) * width * width);
  for (let column = from; column < to; column++) {
    const first = column - ((column - from) % width);
    const row = hessian.subarray(column * columns + first, column * columns + Math.min(first + width, to));
    blocks.set(row, (column - from) * width);
  }
  return blocks;
}

/** Parameters that are tried at a time. */
const MOST_CANDIDATES = 2 ** 16;

function searchInKernels(fit: Fit, math: MathKernels, { shares, norm }: RangeSearch): void {
  const { rows, columns, values, from, to, tile, code, importance, blocks, write } = fit;
  const across = Math.ceil((to - from) / tile.columns);
  const tileRows = Math.max(1, Math.floor(MOST_CANDIDATES / (across * shares.length)));
  const most = tileRows * across;
  const [low, high, best] = [new Float32Array(most), new Float32Array(most), new Float32Array(most)];
  const counts = new Float32Array(most);
  const scales = new Float32Array(most * shares.length);
  const shifts = new Float32Array(most * shares.length);
  for (let row = 0; row < rows; row += tileRows * tile.rows) {
    const part = {
      rows: Math.min(tileRows * tile.rows, rows - row),
      columns: to - from,
      weights: values.subarray(row * columns + from),
      stride: columns,
      tile,
      importance: importance?.subarray(from, to),
    };
    const count = Math.ceil(part.rows / tile.rows) * across;
    math.tileRanges({ ...part, low, high });
    const tries = { scales, shifts };
    for (let i = 0; i < count; i++) {
      counts[i] = listTries(fit, low[i]!, high[i]!, shares, tries, i);
    }
    if (shares.length > 1) {
      const search = { tries: shares.length, counts, scales, exponent: norm, hessian: blocks };
      const shifting = code.shift === "none" ? undefined : shifts;
      math.searchTiles({ ...part, ...search, shifts: shifting, rule: code.rule!, best });
    }
    for (let i = 0; i < count; i++) {
      const at = i * shares.length + best[i]!;
      const tileRow = row + Math.floor(i / across) * tile.rows;
      write(tileRow, from + (i % across) * tile.columns, { scale: scales[at]!, shift: shifts[at]! });
    }
  }
}

/**
 * Scales and shifts of one tile, for every share of its range; those that are stored alike once.
 *
 * @returns how many there are
 */
function listTries(
  { code, store }: Fit,
  low: number,
  high: number,
  shares: readonly number[],
  { scales, shifts }: { readonly scales: Float32Array; readonly shifts: Float32Array },
  tile: number,
): number {
  const first = tile * shares.length;
  let at = first;
  for (let t = 0; t < shares.length; t++) {
    const share = shares[t]!;
    const scale = code.scaleFor(low * share, high * share, store);
    const shift = code.shiftFrom(low * share, scale);
    if (at > first && scales[at - 1] === scale && shifts[at - 1] === shift) continue;
    scales[at] = scale;
    shifts[at] = shift;
    at++;
  }
  return at - first;
}

function fitOneByOne(fit: Fit): void {
  const { rows, columns, from, to, values, tile, importance, write } = fit;
  for (let column = from; column < to; column += tile.columns) {
    const width = Math.min(tile.columns, to - column);
    for (let row = 0; row < rows; row += tile.rows) {
      const height = Math.min(tile.rows, rows - row);
      const elements = elementsOf({ values, columns, row, height, column, width });
      const counts = importance?.subarray(column, column + width);
      write(row, column, fitTile(fit, column, width, elements, counts));
    }
  }
}

function fitTile(
  { tile, from, code, store, calibrator, blocks }: Fit,
  column: number,
  width: number,
  values: Float32Array,
  importance: Float32Array | undefined,
): TileParameters {
  if (values.length < calibrator.fewestValues) {
    throw new QuernError(
      "QUANTIZE_TOO_FEW_VALUES",
      `calibrator ${calibrator.name} needs ${calibrator.fewestValues} values, but tiles have ${values.length}`,
    );
  }
  const stride = tile.columns;
  const hessian = blocks?.subarray((column - from) * stride);
  const range = calibrator.range({
    batches: [{ values, weights: importance && repeated(importance, values.length / width) }],
    bits: code.bits,
    error(candidate, norm) {
      const parameters = parametersFor(code, candidate, store);
      const errors = { values, width, code, parameters };
      return hessian
        ? tileErrorInHessian({ ...errors, hessian, stride })
        : tileError({ ...errors, importance, norm });
    },
  });
  return parametersFor(code, range, store);
}

/** The elements of a tile, row by row. */
function elementsOf(params: {
  readonly values: Float32Array;
  readonly columns: number;
  readonly row: number;
  readonly height: number;
  readonly column: number;
  readonly width: number;
}): Float32Array {
  const { values, columns, row, height, column, width } = params;
  const first = row * columns + column;
  if (height === 1 || width === columns) return values.subarray(first, first + height * width);
  const elements = new Float32Array(height * width);
  for (let i = 0; i < height; i++) {
    elements.set(values.subarray(first + i * columns, first + i * columns + width), i * width);
  }
  return elements;
}

function repeated(values: Float32Array, times: number): Float32Array {
  if (times === 1) return values;
  const result = new Float32Array(values.length * times);
  for (let i = 0; i < times; i++) result.set(values, i * values.length);
  return result;
}
