import type { FoldedPart } from "./folding.ts";
import type { OriginTensor, RowOrigins } from "./row-origins.ts";

/**
 * Parts of the checkpoint whose elements are multiplied with the columns of a matrix: of all rows of the tensors that it comes from.
 *
 * @param params.matrix The matrix, where several lie one after the other; then only its own rows are concerned.
 * @returns undefined where rows of the matrix do not stand together
 */
export function columnParts(
  origins: RowOrigins,
  params: { readonly columns: number; readonly matrix?: { readonly index: number; readonly count: number } },
): FoldedPart[] | undefined {
  const { columns, matrix } = params;
  if (matrix === undefined) {
    return origins.tensors.map((tensor) => placed(tensor, { firstRow: 0, rows: rowsOf(tensor.shape) }));
  }
  const size = origins.rows.length / matrix.count;
  const own = origins.rows.subarray(matrix.index * size, (matrix.index + 1) * size);
  const first = own[0]!;
  const isTogether = own.every((row, index) => row === first + index);
  const { tensor, row } = origins.tensorOf(first);
  if (!isTogether || origins.tensorOf(first + size - 1).tensor !== tensor) return undefined;
  if (!tensor.transposed) return [placed(tensor, { firstRow: row, rows: size })];
  // Each of the tensor's own columns is a row of the matrix, and its rows are those of one matrix after the other.
  const outputs = tensor.shape.at(-1)!;
  if (row % outputs !== 0 || size % outputs !== 0) return undefined;
  return [placed(tensor, { firstRow: (row / outputs) * columns, rows: (size / outputs) * columns })];
}

/** Elements of rows, or of columns that are used as rows: each has the factor of a column of what reads them. */
function placed(
  { name, shape, transposed, offset }: OriginTensor,
  range: { readonly firstRow: number; readonly rows: number },
): FoldedPart {
  return { tensor: name, shape, axis: transposed ? "rows" : "columns", ...range, offset };
}

/**
 * Parts of the checkpoint that make the columns of an input.
 *
 * @param params.made For each column the row of the weight, or the element of the bias, that makes it.
 * @param params.elements Whether the origins are those of elements.
 * @returns undefined where the elements of a transposed tensor do not belong to one matrix
 */
export function rowParts(
  origins: RowOrigins,
  params: { readonly made: Uint32Array; readonly elements: boolean },
): FoldedPart[] | undefined {
  const { made, elements } = params;
  const columnsOf = new Map<OriginTensor, { row: number; column: number }[]>();
  for (let column = 0; column < made.length; column++) {
    const { tensor, row } = origins.tensorOf(origins.rows[made[column]!]!);
    const known = columnsOf.get(tensor);
    if (known === undefined) columnsOf.set(tensor, [{ row, column }]);
    else known.push({ row, column });
  }
  const parts: FoldedPart[] = [];
  for (const [tensor, places] of columnsOf) {
    const part = elements || tensor.transposed ? elementsPart(tensor, places) : rowsPart(tensor, places);
    if (part === undefined) return undefined;
    parts.push(part);
  }
  return parts;
}

type Places = readonly { readonly row: number; readonly column: number }[];

function rowsPart({ name, shape, offset }: OriginTensor, places: Places): FoldedPart {
  const firstRow = places.reduce((least, { row }) => Math.min(least, row), Infinity);
  const lastRow = places.reduce((most, { row }) => Math.max(most, row), 0);
  const columnOf = new Int32Array(lastRow - firstRow + 1).fill(-1);
  for (const { row, column } of places) columnOf[row - firstRow] = column;
  return {
    tensor: name,
    shape,
    axis: "rows",
    firstRow,
    rows: columnOf.length,
    ...unlessInOrder(columnOf),
    offset,
  };
}

/** Elements of a vector or of some of several, or columns of a transposed matrix. */
function elementsPart(tensor: OriginTensor, places: Places): FoldedPart | undefined {
  const { name, shape, offset, transposed } = tensor;
  const width = shape.at(-1)!;
  const matrix = Math.floor(places[0]!.row / width);
  if (places.some(({ row }) => Math.floor(row / width) !== matrix)) return undefined;
  const columnOf = new Int32Array(width).fill(-1);
  for (const { row, column } of places) columnOf[row % width] = column;
  const rows = transposed ? shape.at(-2)! : 1;
  return {
    tensor: name,
    shape,
    axis: "columns",
    firstRow: matrix * rows,
    rows,
    ...unlessInOrder(columnOf),
    offset,
  };
}

function unlessInOrder(columnOf: Int32Array): { columnOf?: Int32Array } {
  return columnOf.every((column, index) => column === index) ? {} : { columnOf };
}

function rowsOf(shape: readonly number[]): number {
  return shape.slice(0, -1).reduce((all, size) => all * size, 1);
}
