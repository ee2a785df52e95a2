import { solveLocal } from "./local-form.ts";
import type { TileSearchParams } from "./search-parameters.ts";
import { ROOM, StepsAround } from "./steps-around.ts";

const { fround } = Math;

/** What kernels do, for all grids: operation by operation in F32. */
export function searchOneByOne(params: TileSearchParams): void {
  const { state, parameters, tile, attempts } = params;
  const { rows, columns } = state.matrix;
  const { order } = params.form;
  const { codes } = state.rounded;
  const steps = new StepsAround(parameters, tile.start, rows);
  const directions = parameters.parameterCount === 1 ? 2 : 8;
  const [tried, best] = [new Uint8Array(order.length), new Uint8Array(order.length)];
  for (let row = 0; row < rows; row++) {
    const errors = errorsOf(params, row);
    const at = row * columns + tile.start;
    let least = errors.asTheyAre();
    let found = false;
    let [first, last] = [ROOM, ROOM];
    for (let attempt = -1, failures = 0; attempt < attempts && failures < directions; attempt++) {
      let [nextFirst, nextLast] = [first, last];
      if (attempt >= 0) {
        // A step up or down of the first, the last, or both, alike or against each other.
        const direction = attempt % directions;
        const kind = direction >> 1;
        const step = direction % 2 === 0 ? 1 : -1;
        if (kind !== 1) nextFirst = withinRoom(first + step);
        if (kind !== 0) nextLast = withinRoom(last + (kind === 3 ? -step : step));
      }
      steps.write(row, nextFirst, nextLast);
      const error = errors.rounded(tried, least);
      if (error < least) {
        [least, first, last, found, failures] = [error, nextFirst, nextLast, true, 0];
        best.set(tried);
      } else if (attempt >= 0) failures++;
    }
    steps.write(row, first, last);
    if (found) order.forEach((column, place) => (codes[at + column] = best[place]!));
  }
}

function withinRoom(place: number): number {
  return Math.min(Math.max(place, 0), 2 * ROOM);
}

interface RowErrors {
  /** That of the present values. */
  asTheyAre(): number;
  /** Rounds with the parameters as they are. Returns the error, or what has been reached of it when it is no longer below `most`. */
  rounded(codes: Uint8Array, most: number): number;
}

/** Errors in H of a row of a tile, by place of the form. */
function errorsOf({ state, form, span, tile, gradients }: TileSearchParams, row: number): RowErrors {
  const { order, factors, weights } = form;
  const { grid, values } = state.rounded;
  const width = order.length;
  const gradient = row * (span.end - span.start) + tile.start - span.start;
  const at = row * state.matrix.columns + tile.start;
  // What would be best if all values were possible.
  const targets = Float32Array.from(order, (column) => gradients[gradient + column]!);
  solveLocal(form, targets);
  order.forEach((column, place) => (targets[place]! += values[at + column]!));
  const moved = new Float32Array(width);
  const errorWith = (most: number, valueAt: (place: number, target: number) => number): number => {
    moved.set(targets);
    let sum = 0;
    for (let place = 0; place < width && sum < most; place++) {
      const value = valueAt(place, moved[place]!);
      const miss = fround(moved[place]! - value);
      const error = fround(targets[place]! - value);
      sum = fround(sum + fround(fround(miss * miss) * weights[place]!));
      for (let j = place + 1; j < width; j++) moved[j]! += fround(error * factors[place * width + j]!);
    }
    return sum;
  };
  return {
    asTheyAre: () => errorWith(Infinity, (place) => values[at + order[place]!]!),
    rounded: (codes, most) =>
      errorWith(most, (place, target) => {
        const column = tile.start + order[place]!;
        const code = grid.encode(row, column, target);
        codes[place] = code;
        return grid.decode(row, column, code);
      }),
  };
}
