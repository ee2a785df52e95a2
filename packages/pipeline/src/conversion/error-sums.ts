import type { RowErrors } from "@quern/kernels";
import type { ErrorFigures } from "../errors.ts";

/**
 * Adds up what conversion did to the rows of a tensor, in the order of the rows, however they are shared among slabs and whichever
 * slab is done first: the sums are the same to the last bit.
 */
export class ErrorSums {
  /** Rows that came before those in front of them, by the first one. */
  readonly #early = new Map<number, RowErrors>();
  readonly #weighted: boolean;
  #rows = 0;
  #squaredErrors = 0;
  #squaredWeights = 0;
  #weightedErrors = 0;
  #weightedWeights = 0;
  #largestError = 0;
  #clipped = 0;
  #vanished = 0;
  #groups = 0;

  /** @param params.weighted Whether rows are measured with importance. */
  constructor({ weighted }: { weighted: boolean }) {
    this.#weighted = weighted;
  }

  add(firstRow: number, errors: RowErrors): void {
    this.#early.set(firstRow, errors);
    for (;;) {
      const next = this.#early.get(this.#rows);
      if (next === undefined) return;
      this.#early.delete(this.#rows);
      this.#addRows(next);
    }
  }

  /** Of all rows, once they have been added. */
  figures(): ErrorFigures {
    return {
      squaredErrors: this.#squaredErrors,
      squaredWeights: this.#squaredWeights,
      ...(this.#weighted
        ? { weighted: { squaredErrors: this.#weightedErrors, squaredWeights: this.#weightedWeights } }
        : {}),
      largestError: this.#largestError,
      clipped: this.#clipped,
      vanished: this.#vanished,
      groups: this.#groups,
    };
  }

  #addRows(errors: RowErrors): void {
    const rows = errors.squaredErrors.length;
    for (let row = 0; row < rows; row++) {
      this.#squaredErrors += errors.squaredErrors[row]!;
      this.#squaredWeights += errors.squaredWeights[row]!;
      this.#weightedErrors += errors.weightedErrors[row]!;
      this.#weightedWeights += errors.weightedWeights[row]!;
      this.#largestError = Math.max(this.#largestError, errors.largestErrors[row]!);
      this.#clipped += errors.clipped[row]!;
      this.#vanished += errors.vanished[row]!;
      this.#groups += errors.groups[row]!;
    }
    this.#rows += rows;
  }
}
