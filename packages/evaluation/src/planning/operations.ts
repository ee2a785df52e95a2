import { linearOperations, type RunnableModel } from "@quern/inference";
import { type ScoredPositions } from "../windows/evaluation-rule.ts";
import type { EvaluationCorpus } from "../windows/evaluation-windows.ts";

/** Floating-point operations of linear layers over a whole corpus. */
export interface Operations {
  /** Of each block. */
  readonly blocks: readonly number[];
  readonly output: number;
}

export function operationsOf(
  model: RunnableModel,
  { windows, rule }: EvaluationCorpus,
  positions: ScoredPositions,
): Operations {
  const { blocks, output } = linearOperations(model);
  return {
    blocks: blocks.map((operations) => operations * windows.length * rule.context),
    output: output * windows.length * positions.count,
  };
}

export function totalOperations({ blocks, output }: Operations): number {
  return blocks.reduce((sum, operations) => sum + operations, output);
}
