import type { MathKernels, TileCodes } from "@quern/kernels";
import type { Calibrator } from "../calibrators/calibrator.ts";
import type { Matrix } from "../matrix.ts";
import type { QuantizedMatrix } from "../quantized-matrix.ts";

/** Which values a weight can have, and which weights share the parameters that decide about it. */
export interface Grid<F extends FittedGrid = FittedGrid> {
  readonly name: string;
  /** Codes are from 0 to 2^bits - 1. */
  readonly bits: number;
  /** Whether the value of code 0 can be moved unit by unit: whether there is `FittedGrid.moveOffset`. */
  readonly movesOffsets: boolean;
  /**
   * Whether `open` or `settle` look at more than single units, so that parts of a matrix make another grid than all of it. @default false
   */
  readonly wholeMatrix?: boolean;
  /**
   * Whether it is made for the largest magnitude of a matrix: its option `largest` is that of layers that are loaded as one, and with it,
   * parts of a matrix make the same grid. @default false
   */
  readonly usesLargest?: boolean;
  /** Whether ranges are always searched in its own way, so that there is nothing for a calibrator to choose. @default false */
  readonly searchesScales?: boolean;
  /** @throws QuernError `QUANTIZE_SHAPE` where tiles do not fit the matrix. */
  unitOf(shape: Pick<Matrix, "rows" | "columns">): TileSize;
  /** Room for the parameters of a matrix. What concerns all of it is chosen now, the rest by `fit`. */
  open(matrix: Matrix): F;
}

export interface TileSize {
  readonly rows: number;
  readonly columns: number;
}

/** What values depend on besides codes. */
export interface Parameters {
  /** Weights that share parameters. */
  readonly unit: TileSize;
  /** The value is the sum of this many parameters, each multiplied by a factor that depends on the code. 0: they cannot be changed. */
  readonly parameterCount: number;
  /** Writes the parameters of the unit of an element. */
  readParameters(row: number, column: number, into: Float64Array): void;
  /** Changes the parameters of the unit of an element to the nearest that can be stored. */
  writeParameters(row: number, column: number, parameters: Float64Array): void;
  /**
   * How far from a parameter the next one is that is worth trying. Scales of `tileCodes` depend on the first parameter alone, shifts on the
   * second. @default parameters are not searched but by `fit`
   */
  step?(row: number, column: number, parameter: number): number;
  /** Whether the first parameter is a power of two, so that steps double or halve it instead. @default false */
  readonly doubles?: boolean;
}

/**
 * The grid of one matrix. A rounding fits columns before it rounds them, from whatever values it would have there, and may then ask
 * for any element in any order: errors can be compensated on every grid alike.
 */
export interface FittedGrid extends Parameters {
  /** Weights that are fitted together; those at the edges may be fewer. */
  readonly unit: TileSize;
  /** Chooses the parameters of some columns from the values that they have now. */
  fit(params: FitParams): void;
  /** All columns have been fitted: scales that are stored with the help of others become what they are stored as. */
  settle(): void;
  /** The code of the value nearest to `value`. */
  encode(row: number, column: number, value: number): number;
  /** The value of a code, in F32. */
  decode(row: number, column: number, code: number): number;
  /** The code of the next value above or below; the same one at the end. */
  neighbour(row: number, column: number, code: number, up: boolean): number;
  /**
   * What `encode` and `decode` do, for kernels, which give the same codes many times as fast. The arrays follow every change: of `fit`,
   * `settle`, `writeParameters` and `moveOffset`. Tiles may be smaller than units.
   */
  readonly tileCodes?: TileCodes | undefined;
  /** Writes the factor of each parameter. */
  factors(row: number, column: number, code: number, into: Float64Array): void;
  /** The factors of a parameter as the values of codes in tiles, for kernels. */
  factorCodes?(parameter: number): TileCodes;
  /** Parameters of parts of a unit, with those of the unit as they are: what is searched again instead of the latter. */
  readonly inner?: Parameters;
  /** Moves the value of code 0 as near to `offset` as can be stored; the scale stays. */
  moveOffset?(row: number, column: number, offset: number): void;
}

/** How ranges are chosen, and what errors count for it. */
export interface Fitting {
  /** @default the range of the values */
  readonly calibrator?: Calibrator | undefined;
  /** By column, not negative: what an error counts there. */
  readonly importance?: Float32Array | undefined;
  /** For those who can do it faster with them. */
  readonly math?: MathKernels | undefined;
  /** columns x columns: errors of a row are weighed as `e H e^T` of each unit, instead of by importance. */
  readonly hessian?: Float64Array | undefined;
}

export interface FitParams extends Fitting {
  /** The whole matrix, row-major; only the columns that are fitted are read. */
  readonly values: Float32Array;
  /** Columns, from the start of a unit to the end of one. @default all */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
}

/** A grid of which plain data can be made, for a container to pack. */
export interface TiledGrid extends FittedGrid {
  /** Plain data of the whole matrix, for a container to pack. */
  result(codes: Uint8Array): QuantizedMatrix;
}
