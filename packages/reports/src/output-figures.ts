import type { ErrorRecord, OutputError, OutputRecord } from "./conversion.ts";
import { formatKnown, formatPercent } from "./format.ts";

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
  {
    id: "held-out",
    title: "Held-out output error",
    note: "on held-out inputs",
    of: ({ heldOut }) => heldOut,
  },
];

/** Those that any tensor has. */
export function outputFigures(outputs: readonly OutputRecord[]): OutputFigure[] {
  return OUTPUT_FIGURES.filter(({ of }) =>
    outputs.some(({ tensors }) => tensors.some(({ errors }) => errors !== undefined && of(errors))),
  );
}

/** Whether what is found out weight by weight is known of any tensor. */
export function hasCounts(outputs: readonly OutputRecord[]): boolean {
  return outputs.some(({ tensors }) => tensors.some(({ errors }) => errors?.clipped !== undefined));
}

/** One cell for each figure. */
export function outputCells(errors: ErrorRecord, figures: readonly OutputFigure[]): string[] {
  return figures.map(({ of }) => {
    return formatKnown(of(errors)?.relativeError, formatPercent);
  });
}
