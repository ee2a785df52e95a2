import { QuernError } from "@quern/tensor";
import { weightedError } from "../calibrators/calibrate-range.ts";
import type { Calibrator } from "../calibrators/calibrator.ts";
import { minMax } from "../calibrators/min-max.ts";
import type { Code, TileParameters } from "../codes/code.ts";
import { checkMatrix, type Matrix } from "../matrix.ts";
import type { QuantizedMatrix, ScaleParts } from "../quantized-matrix.ts";
import type { ScaleStore } from "../scale-store.ts";
import type { Grid, TiledGrid, TileSize } from "./grid.ts";

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
    movesOffsets: code.shiftFor !== undefined,
    ...(options.nest && { wholeMatrix: true }),
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
    fit({ values, from = 0, to = columns, calibrator = minMax(), importance, hessian }) {
      for (let column = from; column < to; column += unit.columns) {
        const width = Math.min(unit.columns, to - column);
        const weights = importance && repeated(importance.subarray(column, column + width), unit.rows);
        for (let row = 0; row < rows; row += unit.rows) {
          const height = Math.min(unit.rows, rows - row);
          const inTile = elementsOf({ values, columns, row, height, column, width });
          const quadratic = hessian && { matrix: hessian, columns, column, width };
          write(
            tileAt(row, column),
            fitTile({ values: inTile, weights, quadratic, code, store, calibrator }),
          );
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
    step: (row, column, parameter) => scales[tileAt(row, column)]! / (parameter === 0 ? 2 ** code.bits : 4),
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

interface FitTileParams {
  /** Row by row. */
  readonly values: Float32Array;
  /** For as many rows at least. */
  readonly weights: Float32Array | undefined;
  readonly quadratic: QuadraticForm | undefined;
  readonly code: Code;
  readonly store: ScaleStore;
  readonly calibrator: Calibrator;
}

/** The block of a Hessian that belongs to the columns of a tile. */
interface QuadraticForm {
  readonly matrix: Float64Array;
  /** Of the Hessian. */
  readonly columns: number;
  /** The first one of the tile. */
  readonly column: number;
  readonly width: number;
}

function fitTile({ values, weights, quadratic, code, store, calibrator }: FitTileParams): TileParameters {
  if (values.length < calibrator.fewestValues) {
    throw new QuernError(
      "QUANTIZE_TOO_FEW_VALUES",
      `calibrator ${calibrator.name} needs ${calibrator.fewestValues} values, but tiles have ${values.length}`,
    );
  }
  const range = calibrator.range({
    batches: [{ values, weights }],
    bits: code.bits,
    error(candidate, norm) {
      const parameters = code.parameters(candidate, store);
      return quadratic
        ? quadraticError(values, quadratic, code, parameters)
        : weightedError({ values, weights, code, parameters, norm });
    },
  });
  return code.parameters(range, store);
}

/** Sum over the rows of a tile of `e H e^T`. */
function quadraticError(
  values: Float32Array,
  { matrix, columns, column, width }: QuadraticForm,
  code: Code,
  { scale, shift }: TileParameters,
): number {
  const errors = values.map((value) => value - code.decode(code.encode(value, scale, shift), scale, shift));
  let sum = 0;
  for (let first = 0; first < errors.length; first += width) {
    for (let i = 0; i < width; i++) {
      const at = (column + i) * columns + column;
      let product = 0.5 * matrix[at + i]! * errors[first + i]!;
      for (let j = 0; j < i; j++) product += matrix[at + j]! * errors[first + j]!;
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
