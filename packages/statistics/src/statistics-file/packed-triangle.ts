/*
 * Symmetric matrices are stored as their lower triangle, row by row: row r has the r + 1 elements of columns 0 to r.
 */

/** Elements of the first `rows` rows of a packed lower triangle, which is also where row `rows` begins. */
export function packedLength(rows: number): number {
  return (rows * (rows + 1)) / 2;
}

/** Puts whole rows of a packed triangle, from row `start` on, into a symmetric matrix of `size` x `size` elements. */
export function unpackRows(params: {
  rows: Float32Array;
  start: number;
  size: number;
  into: Float64Array;
}): void {
  const { rows, start, size, into } = params;
  let index = 0;
  for (let row = start; index < rows.length; row++) {
    for (let column = 0; column <= row; column++) {
      const value = rows[index++]!;
      into[row * size + column] = value;
      into[column * size + row] = value;
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
