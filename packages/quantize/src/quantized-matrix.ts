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
  /** How `scales` are stored, where it is not one number by tile. `scales` is what multiplies all the same. */
  readonly scaleParts?: ScaleParts;
  /** Tile column of each column, where it is not `floor(column / tile.columns)` (GPTQ's act-order). */
  readonly groupIndex?: Int32Array;
}

/** Two-part scales. Codes are by tile. */
export type ScaleParts =
  /** bitsandbytes' double quantization: scale = DYNAMIC_VALUES[code] * absmax + offset, one absmax for 256 tiles. */
  | {
      readonly kind: "nested";
      readonly codes: Uint8Array;
      readonly absmax: Float32Array;
      readonly offset: number;
    }
  /** NVFP4: scale = E4M3(code) / global. */
  | { readonly kind: "global"; readonly codes: Uint8Array; readonly global: number }
  /** MXFP4: scale = 2^(code - 127). */
  | { readonly kind: "exponent"; readonly codes: Uint8Array };

/** What the codes mean: rows x columns, F32. */
export function dequantizeMatrix(matrix: QuantizedMatrix): Float32Array {
  const { rows, columns, codes, tile, scales, zeros, offsets, values, groupIndex } = matrix;
  const across = Math.ceil(columns / tile.columns);
  const { fround } = Math;
  const result = new Float32Array(rows * columns);
  for (let row = 0, i = 0; row < rows; row++) {
    const first = Math.floor(row / tile.rows) * across;
    for (let column = 0; column < columns; column++, i++) {
      const t = first + (groupIndex ? groupIndex[column]! : Math.floor(column / tile.columns));
      const code = codes[i]!;
      if (values) result[i] = values[code]! * scales[t]!;
      else if (zeros) result[i] = scales[t]! * (code - zeros[t]!);
      else result[i] = fround(scales[t]! * code) + (offsets?.[t] ?? 0);
    }
  }
  return result;
}

/**
 * Of one row again a matrix: undoes `flattened`. Where tiles straddle rows they are divided, so that every tile lies in one row; parts of a
 * tile have its scale. `scaleParts` stay those of the tiles as they were.
 */
export function folded(
  row: QuantizedMatrix,
  shape: { readonly rows: number; readonly columns: number },
): QuantizedMatrix {
  const { rows, columns } = shape;
  const width = commonDivisor(row.tile.columns, columns);
  const parents = Int32Array.from({ length: (rows * columns) / width }, (_, tile) =>
    Math.floor((tile * width) / row.tile.columns),
  );
  const { scales, zeros, offsets } = row;
  return {
    ...row,
    rows,
    columns,
    tile: { rows: 1, columns: width },
    scales: Float32Array.from(parents, (tile) => scales[tile]!),
    ...(zeros && { zeros: Uint8Array.from(parents, (tile) => zeros[tile]!) }),
    ...(offsets && { offsets: Float32Array.from(parents, (tile) => offsets[tile]!) }),
  };
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b);
}
