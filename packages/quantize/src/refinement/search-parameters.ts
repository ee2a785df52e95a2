import type { Parameters } from "../grids/grid.ts";
import { spans, type Span } from "../hessian/spans.ts";
import { localForm, solveLocal, type LocalForm } from "./local-form.ts";
import type { RefinementState } from "./refine.ts";

/** Tiles of more columns are left alone: within them, the search takes time that grows with their width. */
const WIDEST = 256;
/** Steps of a search at most. */
const STEPS = 8;

/**
 * Searches the parameters of every tile once more, together with its codes, one tile after another with all others as they are: for
 * parameters nearby, codes are those that LDLQ gives within the tile, and what counts is the error in H. Of tiles within tiles, the small
 * ones are searched. The error never becomes larger.
 *
 * @param gradients rows x columns of the span: of `errors * H`, which they stay.
 */
export function searchParameters(state: RefinementState, span: Span, gradients: Float32Array): void {
  const { rows } = state.matrix;
  const { grid } = state.rounded;
  const parameters = grid.inner ?? grid;
  const { unit, step, parameterCount } = parameters;
  if (step === undefined || parameterCount === 0 || unit.rows > 1 || unit.columns > WIDEST) return;
  for (const tile of spans(span.end, unit.columns, span.start)) {
    const search = new TileSearch(state, parameters, span, tile, gradients);
    for (let row = 0; row < rows; row++) search.run(row);
  }
}

class TileSearch {
  readonly #state: RefinementState;
  readonly #parameters: Parameters;
  readonly #span: Span;
  readonly #start: number;
  readonly #gradients: Float32Array;
  readonly #form: LocalForm;
  /** By place of the form: what would be best if all values were possible. */
  readonly #targets: Float64Array;
  readonly #errors: Float64Array;
  readonly #codes: Uint8Array;
  readonly #bestCodes: Uint8Array;
  readonly #tried: Float64Array;
  readonly #best: Float64Array;

  constructor(
    state: RefinementState,
    parameters: Parameters,
    span: Span,
    tile: Span,
    gradients: Float32Array,
  ) {
    this.#state = state;
    this.#parameters = parameters;
    this.#span = span;
    this.#start = tile.start;
    this.#gradients = gradients;
    this.#form = localForm({ hessian: state.hessian, columns: state.matrix.columns, span: tile });
    const width = tile.end - tile.start;
    this.#targets = new Float64Array(width);
    this.#errors = new Float64Array(width);
    this.#codes = new Uint8Array(width);
    this.#bestCodes = new Uint8Array(width);
    this.#tried = new Float64Array(parameters.parameterCount);
    this.#best = new Float64Array(parameters.parameterCount);
  }

  run(row: number): void {
    const parameters = this.#parameters;
    const best = this.#best;
    this.#aim(row);
    parameters.readParameters(row, this.#start, best);
    let least = this.#errorAsItIs(row);
    let found = false;
    const attempt = (): boolean => {
      const error = this.#round(row, least);
      if (!(error < least)) return false;
      least = error;
      found = true;
      this.#bestCodes.set(this.#codes);
      parameters.readParameters(row, this.#start, best);
      return true;
    };
    attempt();
    const last = parameters.parameterCount - 1;
    for (let left = STEPS, moved = true; moved && left > 0; left--) {
      moved = false;
      for (let direction = 0; direction < (last === 0 ? 2 : 8); direction++) {
        this.#nudge(row, direction, last);
        if (attempt()) moved = true;
      }
    }
    parameters.writeParameters(row, this.#start, best);
    if (found) this.#take(row);
  }

  /** From the best parameters a step up or down of the first, the last, or both, alike or against each other. */
  #nudge(row: number, direction: number, last: number): void {
    const tried = this.#tried;
    tried.set(this.#best);
    const up = direction % 2 === 0 ? 1 : -1;
    const kind = direction >> 1;
    const parameters = this.#parameters;
    if (kind !== 1) tried[0]! += up * parameters.step!(row, this.#start, 0);
    if (kind !== 0) tried[last]! += (kind === 3 ? -up : up) * parameters.step!(row, this.#start, last);
    parameters.writeParameters(row, this.#start, tried);
  }

  #aim(row: number): void {
    const { order } = this.#form;
    const { values } = this.#state.rounded;
    const targets = this.#targets;
    const { start, end } = this.#span;
    const gradients = row * (end - start) + this.#start - start;
    for (let place = 0; place < order.length; place++) {
      targets[place] = this.#gradients[gradients + order[place]!]!;
    }
    solveLocal(this.#form, targets);
    const at = row * this.#state.matrix.columns + this.#start;
    for (let place = 0; place < order.length; place++) targets[place]! += values[at + order[place]!]!;
  }

  #errorAsItIs(row: number): number {
    const { order, factors, weights } = this.#form;
    const { values } = this.#state.rounded;
    const at = row * this.#state.matrix.columns + this.#start;
    const targets = this.#targets;
    const errors = this.#errors;
    const width = order.length;
    let sum = 0;
    for (let place = 0; place < width; place++) {
      const error = targets[place]! - values[at + order[place]!]!;
      errors[place] = error;
      let total = error;
      for (let k = 0; k < place; k++) total += errors[k]! * factors[k * width + place]!;
      sum += weights[place]! * total * total;
    }
    return sum;
  }

  /** Rounds with the parameters as they are. Returns the error, or what has been reached of it when it is no longer below `most`. */
  #round(row: number, most: number): number {
    const { order, factors, weights } = this.#form;
    const { grid } = this.#state.rounded;
    const targets = this.#targets;
    const errors = this.#errors;
    const codes = this.#codes;
    const width = order.length;
    let sum = 0;
    for (let place = 0; place < width; place++) {
      let target = targets[place]!;
      for (let k = 0; k < place; k++) target += errors[k]! * factors[k * width + place]!;
      const column = this.#start + order[place]!;
      const code = grid.encode(row, column, target);
      const value = grid.decode(row, column, code);
      codes[place] = code;
      errors[place] = targets[place]! - value;
      sum += weights[place]! * (target - value) ** 2;
      if (!(sum < most)) return sum;
    }
    return sum;
  }

  #take(row: number): void {
    const { matrix, rounded, hessian, errors } = this.#state;
    const { columns, values: weights } = matrix;
    const { grid, codes, values } = rounded;
    const { order } = this.#form;
    const { start, end } = this.#span;
    const width = end - start;
    for (let place = 0; place < order.length; place++) {
      const column = this.#start + order[place]!;
      const i = row * columns + column;
      const old = values[i]!;
      const code = this.#bestCodes[place]!;
      const value = grid.decode(row, column, code);
      codes[i] = code;
      values[i] = value;
      if (value === old) continue;
      errors[i] = weights[i]! - value;
      const change = old - value;
      const at = column * columns + start;
      const gradient = row * width;
      for (let j = 0; j < width; j++) this.#gradients[gradient + j]! += change * hessian[at + j]!;
    }
  }
}
