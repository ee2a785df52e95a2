/**
 * A matrix as codes: what a rounding gives and a container packs. Plain data.
 *
 * Weights are divided into tiles with a scale in common: a tile of all rows and columns is "per tensor", one row and all columns "per
 * channel", one row and 128 columns "group size 128"; tiles at the edges may be smaller. A code `c` of a tile means
 *
 * - `scale * (c - zero)` where there are `zeros`,
 * - `scale * c + offset` where there are `offsets`,
 * - `scale * values[c]` where there are `values`.
 */
export interface QuantizedMatrix {
  /** Outputs of the layer. */
  readonly rows: number;
  /** Inputs of the layer. */
  readonly columns: number;
  /** Bits of a code: codes are unsigned, from 0 to 2^bits - 1. */
  readonly bits: number;
  /** Row-major, rows x columns. */
  readonly codes: Uint8Array;
  readonly tile: { readonly rows: number; readonly columns: number };
  /** By tile, row-major; as they are stored: already rounded to the element type of the container. */
  readonly scales: Float32Array;
  /** Whole numbers by tile: the code of 0. A symmetric signed grid has 2^(bits - 1) everywhere. */
  readonly zeros?: Uint8Array;
  /** By tile. */
  readonly offsets?: Float32Array;
  /** By code, 2^bits. */
  readonly values?: Float32Array;
  /** Tile column of each column, where it is not `floor(column / tile.columns)` (GPTQ's act-order). */
  readonly groupIndex?: Int32Array;
}
