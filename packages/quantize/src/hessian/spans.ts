/** Columns from `start` to before `end`. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** The columns from `start` to before `end`, `width` at a time. */
export function* spans(end: number, width: number, start = 0): Generator<Span> {
  for (let at = start; at < end; at += width) yield { start: at, end: Math.min(at + width, end) };
}
