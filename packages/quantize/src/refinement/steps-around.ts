import type { Parameters } from "../grids/grid.ts";

/** How many steps parameters may go in each direction. */
export const ROOM = 8;

/** The parameters of a tile of every row as they were, and those some steps away. */
export class StepsAround {
  readonly #parameters: Parameters;
  readonly #column: number;
  readonly #count: number;
  /** rows x parameters */
  readonly #middles: Float64Array;
  readonly #steps: Float64Array;
  readonly #tried: Float64Array;

  /** @param column of the tile */
  constructor(parameters: Parameters, column: number, rows: number) {
    const count = parameters.parameterCount;
    this.#parameters = parameters;
    this.#column = column;
    this.#count = count;
    this.#middles = new Float64Array(rows * count);
    this.#steps = new Float64Array(rows * count);
    this.#tried = new Float64Array(count);
    for (let row = 0, at = 0; row < rows; row++) {
      parameters.readParameters(row, column, this.#tried);
      for (let i = 0; i < count; i++, at++) {
        this.#middles[at] = this.#tried[i]!;
        this.#steps[at] = parameters.step!(row, column, i);
      }
    }
  }

  /** Changes the parameters of a row to those of places from 0 to 2 * ROOM, where ROOM is what they were. */
  write(row: number, first: number, last: number): void {
    const at = row * this.#count;
    const middle = this.#middles[at]!;
    const moved =
      this.#parameters.doubles === true
        ? middle * 2 ** (first - ROOM)
        : middle + (first - ROOM) * this.#steps[at]!;
    // Scales of other signs would turn the order of codes around.
    this.#tried[0] = moved * middle < 0 ? 0 : moved;
    if (this.#count > 1) this.#tried[1] = this.#middles[at + 1]! + (last - ROOM) * this.#steps[at + 1]!;
    this.#parameters.writeParameters(row, this.#column, this.#tried);
  }
}
