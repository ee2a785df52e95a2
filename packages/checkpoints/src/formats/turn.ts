/** Edge of the squares that are turned one after the other: their lines stay in cache. */
const SQUARE = 32;

interface Elements {
  readonly length: number;
  [index: number]: number;
}

/**
 * A matrix with rows and columns exchanged.
 *
 * @param into Array of at least as many elements.
 */
export function turn<A extends Elements>(from: Elements, into: A, rows: number, columns: number): A {
  for (let top = 0; top < rows; top += SQUARE) {
    const bottom = Math.min(rows, top + SQUARE);
    for (let left = 0; left < columns; left += SQUARE) {
      const right = Math.min(columns, left + SQUARE);
      for (let column = left; column < right; column++) {
        for (let row = top; row < bottom; row++) into[column * rows + row] = from[row * columns + column]!;
      }
    }
  }
  return into;
}

/** {@link turn} for bytes. */
export function turnBytes(bytes: Uint8Array, rows: number, columns: number): Uint8Array {
  return turn(bytes, new Uint8Array(rows * columns), rows, columns);
}

/** {@link turn} for a matrix of 32-bit words. */
export function turnWords(bytes: Uint8Array, rows: number, columns: number): Uint8Array {
  const from = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  const words = new Uint32Array(from.buffer, from.byteOffset, rows * columns);
  const turned = turn(words, new Uint32Array(rows * columns), rows, columns);
  return new Uint8Array(turned.buffer);
}
