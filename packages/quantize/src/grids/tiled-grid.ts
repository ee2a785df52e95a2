import { QuernError } from "@quern/tensor";
import { weightedError } from "../calibrators/calibrate-range.ts";
import { minMax } from "../calibrators/min-max.ts";
import type { Code, TileParameters } from "../codes/code.ts";
import { checkMatrix, type Matrix } from "../matrix.ts";
import type { QuantizedMatrix, ScaleParts } from "../quantized-matrix.ts";
import type { ScaleStore } from "../scale-store.ts";
import type { FitParams, Grid, TiledGrid, TileSize } from "./grid.ts";

/** Tiles with one scale: of the whole matrix, of a row each, or of so many columns (and rows) of it. */
export type TileSpec = "tensor" | "channel" | { readonly columns: number; readonly rows?: number };

export interface TiledGridOptions {
  readonly name: string;
  readonly code: Code;
  readonly tile: TileSpec;
  readonly store: (matrix: Matrix) => ScaleStore;
  /** How scales are stored in two parts. */
  readonly parts?: (scales: Float32Array, matrix: Matrix) => ScaleParts;
  /** Quantizes the scales themselves, which cannot be changed one by one from then on; `scales` become what is stored. */
  readonly nest?: (scales: Float32Array) => ScaleParts;
}

/** A grid whose tiles have a scale and a code: what sets such grids apart is in the options. */
export function tiledGrid(options: TiledGridOptions): Grid<TiledGrid> {
  const { name, code, tile } = options;
  const unitOf = (shape: Pick<Matrix, "rows" | "columns">): TileSize => tileSize(tile, shape);
  return {
    name,
    bits: code.bits,
    shift: code.shift,
    unitOf,
    open(matrix) {
      checkMatrix(matrix);
      return openTiles(options, matrix, unitOf(matrix));
    },
  };
}

function tileSize(tile: TileSpec, { rows, columns }: Pick<Matrix, "rows" | "columns">): TileSize {
  if (tile === "tensor") return { rows, columns };
  if (tile === "channel") return { rows: 1, columns };
  const size = { rows: tile.rows ?? 1, columns: tile.columns };
  if (!(Number.isInteger(size.rows) && Number.isInteger(size.columns) && size.rows > 0 && size.columns > 0)) {
    throw new QuernError("QUANTIZE_OPTION", `tiles cannot have ${size.rows} x ${size.columns} elements`);
  }
  return size;
}

function openTiles(options: TiledGridOptions, matrix: Matrix, unit: TileSize): TiledGrid {
  const { code } = options;
  const { rows, columns } = matrix;
  const across = Math.ceil(columns / unit.columns);
  const store = options.store(matrix);
  const scales = new Float32Array(Math.ceil(rows / unit.rows) * across).fill(1);
  const shifts = new Float32Array(scales.length);
  const tileOfColumn = Int32Array.from({ length: columns }, (_, column) => Math.floor(column / unit.columns));
  const firstTileOfRow = Int32Array.from({ length: rows }, (_, row) => Math.floor(row / unit.rows) * across);
  const tileAt = (row: number, column: number): number => firstTileOfRow[row]! + tileOfColumn[column]!;
  const write = (tile: number, { scale, shift }: TileParameters): void => {
    scales[tile] = scale;
    shifts[tile] = shift;
  };
  let nested: ScaleParts | undefined;
  return {
    unit,
    fit(params) {
      const { from = 0, to = columns } = params;
      for (let row = 0; row < rows; row += unit.rows) {
        for (let column = from; column < to; column += unit.columns) {
          const bounds = {
            row,
            rowEnd: Math.min(row + unit.rows, rows),
            column,
            columnEnd: Math.min(column + unit.columns, to),
          };
          write(tileAt(row, column), fitTile({ ...params, code, store, columns, bounds }));
        }
      }
    },
    settle() {
      nested = options.nest?.(scales);
    },
    encode(row, column, value) {
      const tile = tileAt(row, column);
      return code.encode(value, scales[tile]!, shifts[tile]!);
    },
    decode(row, column, value) {
      const tile = tileAt(row, column);
      return code.decode(value, scales[tile]!, shifts[tile]!);
    },
    neighbour: (_row, _column, value, up) => code.neighbour(value, up),
    parameterCount: options.nest ? 0 : code.shift === "offset" ? 2 : 1,
    factors(row, column, value, into) {
      if (code.shift === "offset") {
        into[0] = value;
        into[1] = 1;
      } else {
        into[0] = code.decode(value, 1, shifts[tileAt(row, column)]!);
      }
    },
    readParameters(row, column, into) {
      const tile = tileAt(row, column);
      into[0] = scales[tile]!;
      if (code.shift === "offset") into[1] = shifts[tile]!;
    },
    writeParameters(row, column, parameters) {
      const tile = tileAt(row, column);
      scales[tile] = store.round(parameters[0]!);
      if (code.shift === "offset") shifts[tile] = code.shiftFor!(parameters[1]!, scales[tile]);
    },
    ...(code.shiftFor && {
      moveOffset(row: number, column: number, offset: number): void {
        const tile = tileAt(row, column);
        shifts[tile] = code.shiftFor!(offset, scales[tile]!);
      },
    }),
    result(codes) {
      const parts = nested ?? options.parts?.(scales, matrix);
      return tiledResult({ codes, code, rows, columns, unit, scales, shifts, parts });
    },
  };
}

interface FitTileParams extends FitParams {
  readonly code: Code;
  readonly store: ScaleStore;
  /** Of the matrix. */
  readonly columns: number;
  readonly bounds: {
    readonly row: number;
    readonly rowEnd: number;
    readonly column: number;
    readonly columnEnd: number;
  };
}

function fitTile(params: FitTileParams): TileParameters {
  const { values, columns, code, store, calibrator = minMax(), importance, hessian } = params;
  const { row, rowEnd, column, columnEnd } = params.bounds;
  const width = columnEnd - column;
  const inTile = new Float32Array((rowEnd - row) * width);
  for (let r = row; r < rowEnd; r++) {
    const at = r * columns;
    inTile.set(values.subarray(at + column, at + columnEnd), (r - row) * width);
  }
  if (inTile.length < calibrator.fewestValues) {
    throw new QuernError(
      "QUANTIZE_TOO_FEW_VALUES",
      `calibrator ${calibrator.name} needs ${calibrator.fewestValues} values, but tiles have ${inTile.length}`,
    );
  }
  const weights = importance && Float32Array.from(inTile, (_, i) => importance[column + (i % width)]!);
  const range = calibrator.range({
    batches: [{ values: inTile, weights }],
    bits: code.bits,
    error(candidate, norm) {
      const parameters = code.parameters(candidate, store);
      return hessian
        ? quadraticError({ values: inTile, width, code, parameters, hessian, columns, column })
        : weightedError({ values: inTile, weights, code, parameters, norm });
    },
  });
  return code.parameters(range, store);
}

interface QuadraticErrorParams {
  readonly values: Float32Array;
  readonly width: number;
  readonly code: Code;
  readonly parameters: TileParameters;
  readonly hessian: Float64Array;
  readonly columns: number;
  readonly column: number;
}

/** Sum over the rows of a tile of `e H e^T`, with the block of H that belongs to its columns. */
function quadraticError(params: QuadraticErrorParams): number {
  const { values, width, code, parameters, hessian, columns, column } = params;
  const { scale, shift } = parameters;
  const errors = values.map((value) => value - code.decode(code.encode(value, scale, shift), scale, shift));
  let sum = 0;
  for (let first = 0; first < errors.length; first += width) {
    for (let i = 0; i < width; i++) {
      const at = (column + i) * columns + column;
      let product = 0.5 * hessian[at + i]! * errors[first + i]!;
      for (let j = 0; j < i; j++) product += hessian[at + j]! * errors[first + j]!;
      sum += 2 * product * errors[first + i]!;
    }
  }
  return sum;
}

interface TiledResultParams {
  readonly codes: Uint8Array;
  readonly code: Code;
  readonly rows: number;
  readonly columns: number;
  readonly unit: TileSize;
  readonly scales: Float32Array;
  readonly shifts: Float32Array;
  readonly parts: ScaleParts | undefined;
}

function tiledResult(params: TiledResultParams): QuantizedMatrix {
  const { codes, code, rows, columns, unit: tile, scales, shifts, parts } = params;
  const common = { rows, columns, bits: code.bits, codes, tile, scales: scales.slice() };
  const scaleParts = parts && { scaleParts: parts };
  if (code.shift === "none") return { ...common, ...scaleParts, values: code.values! };
  if (code.shift === "offset") return { ...common, ...scaleParts, offsets: shifts.slice() };
  return { ...common, ...scaleParts, zeros: Uint8Array.from(shifts) };
}
