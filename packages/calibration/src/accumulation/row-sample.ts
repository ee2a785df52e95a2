/**
 * Rows that stand for all that come by: every s-th from the first on, where s is the least power of two that leaves at most as many as
 * are wanted. It depends on nothing but their order.
 */
export class RowSample {
  readonly #columns: number;
  readonly #most: number;
  readonly #rows: Float32Array;
  #stride = 1;
  #seen = 0;
  #kept = 0;

  /** @param params.most Rows to keep, at least 1. */
  constructor({ columns, most }: { readonly columns: number; readonly most: number }) {
    this.#columns = columns;
    this.#most = most;
    this.#rows = new Float32Array(columns * most);
  }

  /** @param x rows x columns */
  add(x: Float32Array): void {
    for (let first = 0; first < x.length; first += this.#columns) {
      if (this.#seen++ % this.#stride !== 0) continue;
      if (this.#kept === this.#most) {
        this.#halve();
        if ((this.#seen - 1) % this.#stride !== 0) continue;
      }
      this.#rows.set(x.subarray(first, first + this.#columns), this.#columns * this.#kept++);
    }
  }

  get count(): number {
    return this.#kept;
  }

  /** count x columns */
  get rows(): Float32Array {
    return this.#rows.subarray(0, this.#columns * this.#kept);
  }

  /** Drops every second row. */
  #halve(): void {
    this.#stride *= 2;
    const rows = this.#rows;
    const columns = this.#columns;
    const kept = Math.ceil(this.#kept / 2);
    for (let row = 1; row < kept; row++) {
      rows.copyWithin(row * columns, 2 * row * columns, (2 * row + 1) * columns);
    }
    this.#kept = kept;
  }
}
