import type { TensorInfo } from "@quern/tensor";
import type { StatisticsInput } from "./description.ts";
import { HISTOGRAM_BINS } from "./histogram.ts";
import { packedLength } from "./packed-triangle.ts";

/** One of the tensors that a file has for each input. */
interface EntryTraits {
  /** What its name ends in; the name of the input stands before it. */
  readonly suffix: string;
  /** Whether it is of the windows kept apart; "holdout." stands before the name then. */
  readonly holdOut?: true;
  readonly type: "F32" | "I64";
  /** Shape of what each matrix has of it. */
  readonly shape: (input: StatisticsInput) => readonly number[];
  /** Whether values may be below 0. */
  readonly signed?: true;
  /** Whether what is not written is meant to be 0. */
  readonly sparse?: true;
  /** Which inputs have it. Default: all, or those that hold-out windows are collected of. */
  readonly wanted?: (input: StatisticsInput) => boolean;
}

const scalar = (): readonly number[] => [];
const perColumn = ({ columns }: StatisticsInput): readonly number[] => [columns];

/** Names of the tensors that a file has for each input. */
export type StatisticsEntry =
  | "tokens"
  | "sum"
  | "sumSquares"
  | "sumAbs"
  | "absMax"
  | "histogram"
  | "hessian"
  | "holdOutTokens"
  | "holdOutSumSquares"
  | "holdOutRowCounts"
  | "holdOutRows"
  | "windowRows";

/** All sums are over the inputs that reached a matrix. */
export const ENTRIES: Readonly<Record<StatisticsEntry, EntryTraits>> = {
  /** How many inputs there were. */
  tokens: { suffix: "tokens", type: "I64", shape: scalar },
  sum: { suffix: "sum", type: "F32", shape: perColumn, signed: true },
  sumSquares: { suffix: "sum_squares", type: "F32", shape: perColumn },
  sumAbs: { suffix: "sum_abs", type: "F32", shape: perColumn },
  absMax: { suffix: "abs_max", type: "F32", shape: perColumn },
  histogram: { suffix: "histogram", type: "I64", shape: () => [HISTOGRAM_BINS] },
  hessian: {
    suffix: "hessian",
    type: "F32",
    shape: ({ columns }) => [packedLength(columns)],
    signed: true,
    wanted: ({ hessian }) => hessian,
  },
  holdOutTokens: { suffix: "tokens", holdOut: true, type: "I64", shape: scalar },
  holdOutSumSquares: { suffix: "sum_squares", holdOut: true, type: "F32", shape: perColumn },
  /** How many of the rows below there are. */
  holdOutRowCounts: { suffix: "row_counts", holdOut: true, type: "I64", shape: scalar },
  holdOutRows: {
    suffix: "rows",
    holdOut: true,
    type: "F32",
    shape: ({ columns, holdOutRows }) => [holdOutRows, columns],
    signed: true,
    sparse: true,
  },
  /** All inputs of some windows. */
  windowRows: {
    suffix: "windows",
    holdOut: true,
    type: "F32",
    shape: ({ columns, windows }) => [windows?.rows ?? 0, columns],
    signed: true,
    wanted: ({ windows }) => windows !== undefined,
  },
};

const NAMES = Object.keys(ENTRIES) as StatisticsEntry[];

/** The tensors of an input. */
export function entriesOf(input: StatisticsInput): StatisticsEntry[] {
  return NAMES.filter((name) => {
    const { holdOut, wanted } = ENTRIES[name];
    return (holdOut === undefined || input.holdOutRows > 0) && (wanted?.(input) ?? true);
  });
}

/** Elements that each matrix has of an entry. */
export function elementsOf(input: StatisticsInput, entry: StatisticsEntry): number {
  return ENTRIES[entry].shape(input).reduce((product, length) => product * length, 1);
}

/** Name, type and shape of an entry in the file: that of a matrix for each matrix. */
export function tensorOf(input: StatisticsInput, entry: StatisticsEntry): TensorInfo {
  const { suffix, holdOut, type, shape } = ENTRIES[entry];
  return {
    name: `${holdOut === true ? "holdout." : ""}${input.name}.${suffix}`,
    type,
    shape: [input.matrices, ...shape(input)],
  };
}
