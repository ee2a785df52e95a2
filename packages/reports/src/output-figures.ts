import type { ErrorRecord, OutputError, OutputRecord } from "./conversion.ts";
import { formatPercent } from "./format.ts";

/** An error of the outputs of layers, of which there is more than one notion. */
export interface OutputFigure {
  readonly id: string;
  readonly title: string;
  readonly note: string;
  readonly of: (errors: ErrorRecord) => OutputError | undefined;
}

export const OUTPUT_FIGURES: readonly OutputFigure[] = [
  { id: "output", title: "Output error", note: "weighted by importance", of: ({ output }) => output },
  {
    id: "hessian",
    title: "Output error (full H)",
    note: "on the calibration text",
    of: ({ hessian }) => hessian,
  },
];

/** Those that any tensor has. */
export function outputFigures(outputs: readonly OutputRecord[]): OutputFigure[] {
  return OUTPUT_FIGURES.filter(({ of }) =>
    outputs.some(({ tensors }) => tensors.some(({ errors }) => errors !== undefined && of(errors))),
  );
}

/** One cell for each figure. */
export function outputCells(errors: ErrorRecord, figures: readonly OutputFigure[]): string[] {
  return figures.map(({ of }) => {
    const output = of(errors);
    return output === undefined ? "\u2013" : formatPercent(output.relativeError);
  });
}
