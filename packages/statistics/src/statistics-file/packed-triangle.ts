/*
 * Symmetric matrices are stored as their lower triangle, row by row: row r has the r + 1 elements of columns 0 to r.
 */

/** Elements of the first `rows` rows of a packed lower triangle, which is also where row `rows` begins. */
export function packedLength(rows: number): number {
  return (rows * (rows + 1)) / 2;
}

/** Puts whole rows of a packed triangle, from row `start` on, into the lower half of a matrix of `size` x `size` elements. */
export function unpackRows(params: {
  rows: Float32Array;
  start: number;
  size: number;
  into: Float64Array;
}): void {
  const { rows, start, size, into } = params;
  for (let row = start, index = 0; index < rows.length; row++) {
    into.set(rows.subarray(index, index + row + 1), row * size);
    index += row + 1;
  }
}

/** Rows and columns that are mirrored together, so that both stay in cache. */
const TILE = 64;

/** Makes a matrix of which the lower half is there symmetric. */
export function mirrorLowerHalf(matrix: Float64Array, size: number): void {
  for (let top = 0; top < size; top += TILE) {
    for (let left = 0; left <= top; left += TILE) {
      for (let row = top; row < Math.min(size, top + TILE); row++) {
        for (let column = left; column < Math.min(row, left + TILE); column++) {
          matrix[column * size + row] = matrix[row * size + column]!;
        }
      }
    }
  }
}

/** Cuts rows of a packed triangle into runs of at most `most` elements, but at least one row each. */
export function* rowRuns(params: {
  start: number;
  count: number;
  most: number;
}): Generator<{ start: number; count: number }, void, undefined> {
  const end = params.start + params.count;
  for (let start = params.start; start < end;) {
    const before = packedLength(start);
    let last = start + 1;
    while (last < end && packedLength(last + 1) - before <= params.most) last++;
    yield { start, count: last - start };
    start = last;
  }
}
