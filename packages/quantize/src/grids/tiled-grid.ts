import type { CodeRule } from "@quern/kernels";
import { QuernError } from "@quern/tensor";
import type { Code, TileParameters } from "../codes/code.ts";
import { checkMatrix, type Matrix } from "../matrix.ts";
import type { QuantizedMatrix, ScaleParts } from "../quantized-matrix.ts";
import type { ScaleStore } from "../scale-store.ts";
import { fitTiles } from "./fit-tiles.ts";
import type { FittedGrid, Grid, TiledGrid, TileSize } from "./grid.ts";

/** Tiles with one scale: of the whole matrix, of a row each, or of so many columns (and rows) of it. */
export type TileSpec = "tensor" | "channel" | { readonly columns: number; readonly rows?: number };

export interface TiledGridOptions {
  readonly name: string;
  readonly code: Code;
  readonly tile: TileSpec;
  /** Where scales of a matrix are kept. */
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
  const tileAt = (row: number, column: number): number =>
    Math.floor(row / unit.rows) * across + Math.floor(column / unit.columns);
  const write = (tile: number, { scale, shift }: TileParameters): void => {
    scales[tile] = scale;
    shifts[tile] = shift;
  };
  let nested: ScaleParts | undefined;
  return {
    unit,
    ...(code.rule && kernelForms(code.rule, unit, scales, shifts)),
    fit(params) {
      fitTiles({
        ...params,
        rows,
        columns,
        tile: unit,
        code,
        store,
        write: (row, column, parameters) => write(tileAt(row, column), parameters),
      });
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
    ...(store.doubles === true && { doubles: true }),
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

/** Values are `scale * level + offset` or `scale * (code - zero)`; where there are two parameters, factors are the code and 1. */
function kernelForms(
  rule: CodeRule,
  tile: TileSize,
  scales: Float32Array,
  shifts: Float32Array,
): Required<Pick<FittedGrid, "tileCodes" | "factorCodes">> {
  const ones = new Float32Array(scales.length).fill(1);
  const zeros = new Float32Array(scales.length);
  if (rule.kind === "table") {
    return { tileCodes: { rule, tile, scales }, factorCodes: () => ({ rule, tile, scales: ones }) };
  }
  return {
    tileCodes: { rule, tile, scales, shifts },
    factorCodes(parameter) {
      if (parameter === 1) return { rule, tile, scales: zeros, shifts: ones };
      return { rule, tile, scales: ones, shifts: rule.kind === "offset" ? zeros : shifts };
    },
  };
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
