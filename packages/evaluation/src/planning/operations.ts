import { attentionOperations, linearOperations, type RunnableModel } from "@quern/inference";
import { type ScoredPositions } from "../windows/evaluation-rule.ts";
import type { EvaluationCorpus } from "../windows/evaluation-windows.ts";

/** Floating-point operations of linear layers and attention over a whole corpus. */
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
  const attention = attentionOperations(model, rule.context);
  return {
    blocks: blocks.map(
      (operations, block) => windows.length * (operations * rule.context + (attention[block] ?? 0)),
    ),
    output: output * windows.length * positions.count,
  };
}

export function blockOperations({ blocks }: Operations): number {
  return blocks.reduce((sum, operations) => sum + operations, 0);
}

export function totalOperations(operations: Operations): number {
  return blockOperations(operations) + operations.output;
}
