/** Columns from `start` to before `end`. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** All columns, `width` at a time. */
export function* spans(columns: number, width: number): Generator<Span> {
  for (let start = 0; start < columns; start += width) yield { start, end: Math.min(start + width, columns) };
}
