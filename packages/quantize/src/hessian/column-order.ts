/**
 * The order in which columns are rounded: as they lie; those with the largest inputs first; or tiles with the largest inputs first, and
 * within them columns with the largest inputs first, which needs no index of groups in a file even where tiles are fitted as they are
 * entered.
 */
export type ColumnOrder = "natural" | "descending" | "descending-tiles";

export interface ColumnOrderParams {
  readonly order: ColumnOrder;
  /** columns x columns; its diagonal is what inputs are compared by. */
  readonly hessian: Float64Array;
  readonly columns: number;
  /** Columns of a tile. */
  readonly width: number;
}

/** Column at each place. Of equal ones the first comes first. */
export function columnOrder({ order, hessian, columns, width }: ColumnOrderParams): Int32Array {
  const natural = Int32Array.from({ length: columns }, (_, i) => i);
  if (order === "natural") return natural;
  const size = (column: number): number => hessian[column * (columns + 1)]!;
  const sorted = natural.slice().sort((a, b) => size(b) - size(a) || a - b);
  if (order === "descending") return sorted;
  const tileOf = (column: number): number => Math.floor(column / width);
  const rank = new Map<number, number>();
  for (const column of sorted) {
    if (!rank.has(tileOf(column))) rank.set(tileOf(column), rank.size);
  }
  // Sorting is stable: within tiles the order of sizes stays.
  return sorted.sort((a, b) => rank.get(tileOf(a))! - rank.get(tileOf(b))!);
}
