import { ErrorSums } from "../../conversion/error-sums.ts";
import type { ErrorFigures, RoundingFigures } from "../../errors.ts";
import type { PlannedBlockMatrix } from "../block-plan.ts";
import type { RoundedBlocks } from "./round-block-matrix.ts";

/** What became of a tensor, in all outputs that have it in one type. */
export interface RoundedTensor {
  readonly figures: ErrorFigures;
  readonly rounding: RoundingFigures;
}

/** Puts together what became of the matrices of tensors: the same figures in whatever order they come. */
export class RoundedTensors {
  readonly #name: string;
  readonly #open = new Map<string, Map<number, Omit<RoundedBlocks, "blocks">>>();

  /** @param name Of the rounding. */
  constructor(name: string) {
    this.#name = name;
  }

  /** @returns what became of the tensor, if this was the last of its matrices */
  add(
    planned: PlannedBlockMatrix,
    { blocks: _written, ...rounded }: RoundedBlocks,
  ): RoundedTensor | undefined {
    const { tensor, type, via, matrix, matrices } = planned;
    const key = [tensor, type, via].join();
    const done = this.#open.get(key) ?? new Map<number, Omit<RoundedBlocks, "blocks">>();
    this.#open.set(key, done);
    done.set(matrix, rounded);
    if (done.size < matrices) return undefined;
    this.#open.delete(key);
    const inOrder = Array.from({ length: matrices }, (_, index) => done.get(index)!);
    return { figures: figuresOf(planned, inOrder), rounding: roundingOf(this.#name, inOrder) };
  }
}

type Matrices = readonly Omit<RoundedBlocks, "blocks">[];

function figuresOf({ usesImportance, linear }: PlannedBlockMatrix, matrices: Matrices): ErrorFigures {
  const sums = new ErrorSums({ weighted: usesImportance });
  const measured = matrices.every(({ errors }) => errors.every(({ forms }) => forms !== undefined));
  for (const [matrix, { errors }] of matrices.entries()) {
    for (const { firstRow, rows, forms } of errors) {
      const first = matrix * linear.rows + firstRow;
      sums.add(first, rows);
      if (measured) sums.addOutputs({ conversion: 0, firstRow: first, ...forms! });
    }
  }
  return sums.figures();
}

function roundingOf(name: string, matrices: Matrices): RoundingFigures {
  const compared = matrices.flatMap(({ outputs, kept }) =>
    outputs === undefined ? [] : [{ ...outputs, kept }],
  );
  const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
  const signals = total(compared.map((outputs) => outputs.signals));
  const share = (errors: readonly number[]): number => (signals === 0 ? 0 : total(errors) / signals);
  const damped = matrices.flatMap(({ damping }) => damping ?? []);
  const dead = matrices.flatMap(({ deadColumns }) => deadColumns ?? []);
  return {
    name,
    matrices: matrices.length,
    kept: matrices.filter(({ kept }) => kept).length,
    withoutInputs: matrices.filter(({ withoutInputs }) => withoutInputs).length,
    ...(compared.length === 0
      ? {}
      : {
          outputError: {
            rounded: share(compared.map(({ rounded }) => rounded)),
            plain: share(compared.map(({ plain }) => plain)),
            kept: share(compared.map(({ kept, rounded, plain }) => (kept ? rounded : plain))),
          },
        }),
    ...(damped.length === 0 ? {} : { damping: Math.max(...damped) }),
    ...(dead.length === 0 ? {} : { deadColumns: total(dead) }),
  };
}
