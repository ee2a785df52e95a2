/** The first rows that come by: all of the first windows, in their order. */
export class FirstRows {
  /** rows x columns; those that have not come are 0. */
  readonly rows: Float32Array;
  #filled = 0;

  /** @param params.rows Rows to keep. */
  constructor({ columns, rows }: { readonly columns: number; readonly rows: number }) {
    this.rows = new Float32Array(columns * rows);
  }

  /** @param x rows x columns */
  add(x: Float32Array): void {
    const taken = x.subarray(0, this.rows.length - this.#filled);
    this.rows.set(taken, this.#filled);
    this.#filled += taken.length;
  }
}
