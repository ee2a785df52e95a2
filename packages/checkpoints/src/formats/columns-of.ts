/**
 * Some bytes of each row of a matrix.
 *
 * @param params.rowSize Bytes of a row.
 * @param params.from The first that is wanted, of `size`.
 */
export function columnsOf(
  all: Uint8Array,
  params: { readonly rows: number; readonly rowSize: number; readonly from: number; readonly size: number },
): Uint8Array {
  const { rows, rowSize, from, size } = params;
  if (size === rowSize) return all;
  const some = new Uint8Array(rows * size);
  for (let row = 0; row < rows; row++) {
    const first = row * rowSize + from;
    some.set(all.subarray(first, first + size), row * size);
  }
  return some;
}
