/** Which elements of a tensor have been written: ranges in order, neighbours joined. */
export class WrittenRanges {
  readonly #ranges: { start: number; end: number }[] = [];

  /** @returns whether none of the elements had been written; if some had, nothing changes */
  add(start: number, end: number): boolean {
    if (start === end) return true;
    const ranges = this.#ranges;
    const found = ranges.findIndex((range) => range.end >= start);
    const at = found < 0 ? ranges.length : found;
    const before = ranges[at]?.end === start ? at : undefined;
    const next = before === undefined ? at : at + 1;
    const overlaps = (ranges[next]?.start ?? Infinity) < end;
    if (overlaps) return false;
    const joinsNext = ranges[next]?.start === end;
    const joined = {
      start: before === undefined ? start : ranges[before]!.start,
      end: joinsNext ? ranges[next]!.end : end,
    };
    const removed = (before === undefined ? 0 : 1) + (joinsNext ? 1 : 0);
    ranges.splice(at, removed, joined);
    return true;
  }

  /** What has not been written of `length` elements. */
  gaps(length: number): { start: number; end: number }[] {
    const gaps: { start: number; end: number }[] = [];
    let reached = 0;
    for (const { start, end } of [...this.#ranges, { start: length, end: length }]) {
      if (start > reached) gaps.push({ start: reached, end: start });
      reached = end;
    }
    return gaps;
  }
}
