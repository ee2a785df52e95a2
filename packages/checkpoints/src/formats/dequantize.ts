import type { QuantizedMatrix } from "@quern/quantize";

/**
 * The weights that a matrix stands for, row-major, each operation rounded to float32.
 *
 * @param into Array of rows x columns elements. @default a new one
 */
export function dequantize(
  matrix: QuantizedMatrix,
  into: Float32Array = new Float32Array(matrix.rows * matrix.columns),
): Float32Array {
  const { rows, columns, codes, tile, scales, zeros, offsets, values, groupIndex } = matrix;
  const tileColumns = scales.length / Math.ceil(rows / tile.rows);
  for (let row = 0; row < rows; row++) {
    const firstTile = Math.floor(row / tile.rows) * tileColumns;
    const first = row * columns;
    for (let column = 0; column < columns;) {
      // Columns up to `end` are of one tile.
      const group = groupIndex === undefined ? Math.floor(column / tile.columns) : groupIndex[column]!;
      let end = groupIndex === undefined ? Math.min(columns, (group + 1) * tile.columns) : column + 1;
      if (groupIndex !== undefined) while (end < columns && groupIndex[end] === group) end++;
      const scale = scales[firstTile + group]!;
      if (values !== undefined) {
        for (; column < end; column++) into[first + column] = scale * values[codes[first + column]!]!;
      } else if (offsets !== undefined) {
        const offset = offsets[firstTile + group]!;
        for (; column < end; column++) {
          into[first + column] = Math.fround(scale * codes[first + column]!) + offset;
        }
      } else {
        const zero = zeros?.[firstTile + group] ?? 0;
        for (; column < end; column++) into[first + column] = scale * (codes[first + column]! - zero);
      }
    }
  }
  return into;
}
