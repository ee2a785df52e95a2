import type { RowErrors } from "@quern/kernels";
import type { ErrorFigures } from "../errors.ts";
import { RowOrder } from "./row-order.ts";
import type { OutputRows } from "./slab.ts";

/** Adds up what conversion did to the rows of a tensor, in the order of the rows: the sums are the same to the last bit. */
export class ErrorSums {
  readonly #errors = new RowOrder<RowErrors>((errors) => this.#addErrors(errors));
  readonly #outputs = new RowOrder<OutputRows>((outputs) => this.#addOutputs(outputs));
  readonly #weighted: boolean;
  #squaredErrors = 0;
  #squaredWeights = 0;
  #weightedErrors = 0;
  #weightedWeights = 0;
  #largestError = 0;
  #clipped = 0;
  #vanished = 0;
  #groups = 0;
  #hessian: { squaredErrors: number; squaredWeights: number } | undefined;

  /** @param params.weighted Whether rows are measured with importance. */
  constructor({ weighted }: { weighted: boolean }) {
    this.#weighted = weighted;
  }

  add(firstRow: number, errors: RowErrors): void {
    this.#errors.add({ firstRow, rows: errors.squaredErrors.length, figures: errors });
  }

  /** Of rows that are measured with a Hessian, too. */
  addOutputs(outputs: OutputRows): void {
    const { firstRow, squaredErrors } = outputs;
    this.#outputs.add({ firstRow, rows: squaredErrors.length, figures: outputs });
  }

  /** Of all rows, once they have been added. */
  figures(): ErrorFigures {
    return {
      squaredErrors: this.#squaredErrors,
      squaredWeights: this.#squaredWeights,
      ...(this.#weighted
        ? { weighted: { squaredErrors: this.#weightedErrors, squaredWeights: this.#weightedWeights } }
        : {}),
      ...(this.#hessian === undefined ? {} : { hessian: { ...this.#hessian } }),
      largestError: this.#largestError,
      clipped: this.#clipped,
      vanished: this.#vanished,
      groups: this.#groups,
    };
  }

  #addErrors(errors: RowErrors): void {
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
  }

  #addOutputs({ squaredErrors, squaredWeights }: OutputRows): void {
    const sums = (this.#hessian ??= { squaredErrors: 0, squaredWeights: 0 });
    for (const [row, errors] of squaredErrors.entries()) {
      sums.squaredErrors += errors;
      sums.squaredWeights += squaredWeights[row]!;
    }
  }
}
