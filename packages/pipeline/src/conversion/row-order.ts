/** Hands figures of rows on in the order of the rows, however they are shared among slabs and whichever slab is done first. */
export class RowOrder<Figures> {
  readonly #use: (figures: Figures) => void;
  /** Figures that came before those in front of them, by the first row. */
  readonly #early = new Map<number, { readonly rows: number; readonly figures: Figures }>();
  #rows = 0;

  constructor(use: (figures: Figures) => void) {
    this.#use = use;
  }

  add(params: { readonly firstRow: number; readonly rows: number; readonly figures: Figures }): void {
    const { firstRow, rows, figures } = params;
    this.#early.set(firstRow, { rows, figures });
    for (;;) {
      const next = this.#early.get(this.#rows);
      if (next === undefined) return;
      this.#early.delete(this.#rows);
      this.#rows += next.rows;
      this.#use(next.figures);
    }
  }
}
