import type { LinearInputs } from "@quern/models";
import { QuernError } from "@quern/tensor";
import { resolveMemory } from "@quern/threads";
import { captureBytes, sumsBytes } from "../accumulation/pass-memory.ts";
import { hessianBytes } from "./block-passes.ts";

/** Hessians of the largest dense models of 70 billion parameters fit in this, block by block. */
const LARGEST_DEFAULT = 4 * 2 ** 30;

/** With less than this, a block would be run again for a few rows of its Hessians. */
const LEAST_HESSIANS = 16 * 2 ** 20;

/** Windows for each thread in a batch, where there is memory: few threads wait at the end of each. */
const WINDOWS_PER_THREAD = 4;

/** How the memory budget is used. */
export interface MemoryDivision {
  /** Bytes in all, and how many of them are used. */
  readonly budget: number;
  readonly used: number;
  /** Windows that are captured at once. */
  readonly batch: number;
  /** Bytes for Hessians at once; undefined when none are collected. */
  readonly hessians: number | undefined;
  /** Bytes for hidden states; what is left of them goes to a file. */
  readonly states: number;
}

/** Inputs that are collected together. */
export interface CollectedInputs {
  readonly inputs: readonly LinearInputs[];
  /** For each input, rows of its hold-out to keep of each matrix. */
  readonly holdOutRows: readonly number[];
  /** For each input, rows of the windows that are kept whole. @default none */
  readonly windowRows?: readonly number[];
  readonly hessians: boolean;
}

/** @returns bytes for buffers */
export function memoryBudget(memory: number | undefined): number {
  return resolveMemory({ memory, most: LARGEST_DEFAULT, code: "CALIBRATION_MEMORY" });
}

/**
 * Divides memory: first what one window takes and some rows of Hessians, then a window for each thread, Hessians (without which a block
 * is run again), more windows, and hidden states (which can be in a file).
 *
 * @param params.stages What is collected together, one after another.
 * @param params.tokens Tokens of the windows.
 * @param params.width Elements of a hidden state.
 * @throws QuernError `CALIBRATION_MEMORY` when the least that would do is more than the budget
 */
export function divideMemory(params: {
  readonly budget: number;
  readonly stages: readonly CollectedInputs[];
  readonly tokens: readonly number[];
  readonly width: number;
  readonly threads: number;
}): MemoryDivision {
  const { budget, stages, tokens, width, threads } = params;
  const longest = longestOf(tokens);
  const most = (bytes: (stage: CollectedInputs) => number): number => Math.max(...stages.map(bytes));
  const sums = most(({ inputs, holdOutRows, windowRows = [] }) => {
    return total(inputs.map((input, index) => sumsBytes(input, holdOutRows[index]!, windowRows[index])));
  });
  const window =
    most(({ inputs }) => total(inputs.map((input) => captureBytes(input, longest)))) + 4 * longest * width;
  const allHessians = most(({ inputs, hessians }) => (hessians ? hessianBytes({ inputs, threads }) : 0));
  const leastHessians = Math.min(allHessians, LEAST_HESSIANS);
  const division = divideBudget({
    budget,
    fixed: sums + leastHessians,
    window,
    hessians: allHessians - leastHessians,
    states: 4 * width * total(tokens),
    windows: tokens.length,
    threads,
  });
  const hessians = allHessians === 0 ? undefined : leastHessians + division.hessians;
  return { ...division, budget, hessians };
}

/**
 * Divides what is left of a budget when the least has been taken.
 *
 * @param params.fixed Bytes that are needed, and those of a window.
 * @param params.hessians Bytes of Hessians that save a run when there is room for them.
 * @param params.states Bytes of hidden states.
 * @returns bytes, and windows in a batch
 * @throws QuernError `CALIBRATION_MEMORY`
 */
export function divideBudget(params: {
  readonly budget: number;
  readonly fixed: number;
  readonly window: number;
  readonly hessians: number;
  readonly states: number;
  readonly windows: number;
  readonly threads: number;
}): { used: number; batch: number; hessians: number; states: number } {
  const { budget, fixed, window, windows, threads } = params;
  const least = fixed + window;
  if (least > budget) {
    throw memoryError(`memory: ${budget} bytes are too little for this model; ${least} are the least`);
  }
  let left = budget - least;
  const take = (bytes: number): number => {
    const taken = Math.min(Math.max(bytes, 0), left);
    left -= taken;
    return taken;
  };
  const windowsFor = (perThread: number): number => Math.min(perThread * Math.max(threads, 1), windows);
  let batch = 1 + Math.floor(take((windowsFor(1) - 1) * window) / window);
  const hessians = take(params.hessians);
  const extra = Math.floor(Math.min((windowsFor(WINDOWS_PER_THREAD) - batch) * window, left / 2) / window);
  batch += Math.max(extra, 0);
  take(Math.max(extra, 0) * window);
  const states = take(params.states);
  return { used: budget - left, batch, hessians, states };
}

/** Of as many windows as there may be. */
export function longestOf(tokens: readonly number[]): number {
  return tokens.reduce((most, count) => Math.max(most, count), 0);
}

function memoryError(message: string): QuernError {
  return new QuernError("CALIBRATION_MEMORY", message, { subject: { key: "memory" } });
}

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
