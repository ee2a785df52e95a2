import { crossBytes, isComparable } from "../accumulation/cross.ts";
import { captureBytes, sumsBytes } from "../accumulation/pass-memory.ts";
import { hessianBytes } from "../planning/block-passes.ts";
import { type CollectedInputs, divideBudget, longestOf } from "../planning/divide-memory.ts";
import type { SequentialMemory } from "./plan.ts";

/** What is captured together in a run. */
export interface SequentialCapture extends CollectedInputs {
  /** Whether the model as it was is run, too. */
  readonly cross: boolean;
}

/** How windows are run. */
interface Running {
  /** Of each window. */
  readonly tokens: readonly number[];
  /** Elements of a hidden state. */
  readonly width: number;
  readonly threads: number;
}

/** The least with which all of it can be captured, one after another: bytes of sums, and of a window. */
export function leastBytes(
  captures: readonly SequentialCapture[],
  { tokens, width, threads }: Running,
): { readonly sums: number; readonly window: number } {
  const longest = longestOf(tokens);
  const most = (bytes: (captured: SequentialCapture) => number): number => Math.max(...captures.map(bytes));
  return {
    sums: most(({ inputs, holdOutRows, windowRows = [], hessians, cross }) => {
      const columns = total(
        inputs.map((input, index) => sumsBytes(input, holdOutRows[index]!, windowRows[index])),
      );
      const products = hessians ? hessianBytes({ inputs, threads }) : 0;
      return columns + products + (cross ? total(inputs.filter(isComparable).map(crossBytes)) : 0);
    }),
    window: most(({ inputs, cross }) => {
      const window = total(inputs.map((input) => captureBytes(input, longest))) + 4 * longest * width;
      return cross ? 2 * window : window;
    }),
  };
}

/**
 * Divides memory: what one window takes and the sums of what is captured together, then a window for each thread, more windows, and hidden
 * states (which can be in files).
 *
 * @param params.captures What is captured together.
 * @param params.tokens Tokens of the windows.
 * @param params.referenceTokens Tokens of the windows that the model as it was is run on, in all; 0 for none.
 * @param params.width Elements of a hidden state.
 * @throws QuernError `CALIBRATION_MEMORY` when the least that would do is more than the budget
 */
export function divideSequentialMemory(params: {
  readonly budget: number;
  readonly captures: readonly SequentialCapture[];
  readonly tokens: readonly number[];
  readonly referenceTokens: number;
  readonly width: number;
  readonly threads: number;
}): SequentialMemory {
  const { budget, captures, tokens, referenceTokens, width, threads } = params;
  const { sums, window } = leastBytes(captures, { tokens, width, threads });
  const stateBytes = 4 * width * total(tokens);
  const division = divideBudget({
    budget,
    fixed: sums,
    window,
    hessians: 0,
    states: stateBytes + 4 * width * referenceTokens,
    windows: tokens.length,
    threads,
  });
  const { used, batch } = division;
  const states = Math.min(division.states, stateBytes);
  return { budget, used, batch, states, referenceStates: division.states - states };
}

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
