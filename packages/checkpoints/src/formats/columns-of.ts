/**
 * Some columns of a row-major matrix.
 *
 * @param params.rowSize Columns that there are.
 * @param params.from The first that is wanted, of `size`.
 */
export function columnsOf<A extends Uint8Array | Float32Array>(
  all: A,
  params: { readonly rows: number; readonly rowSize: number; readonly from: number; readonly size: number },
): A {
  const { rows, rowSize, from, size } = params;
  if (size === rowSize) return all;
  const Elements = all.constructor as new (length: number) => A;
  const some = new Elements(rows * size);
  for (let row = 0; row < rows; row++) {
    const first = row * rowSize + from;
    some.set(all.subarray(first, first + size), row * size);
  }
  return some;
}
