import type { TaskResources } from "@quern/inference";
import { type OutputGraph, outputLogits, type ParameterSet } from "@quern/models";
import type { ScoredPositions } from "../windows/evaluation-rule.ts";

/** A model at a window whose last hidden states are there. */
export interface ScoredModel {
  /** For messages. */
  readonly name: string;
  readonly graph: OutputGraph;
  /** Those of the graph. */
  readonly parameters: ParameterSet;
  /** Tokens x width. */
  readonly hidden: Float32Array;
  readonly width: number;
}

/** Logits of some positions of a window, a row for each, in the workspace. */
export function logitRows(
  { kernels, workspace }: TaskResources,
  { graph, parameters, hidden, width }: ScoredModel,
  { first, count }: ScoredPositions,
): readonly Float32Array[] {
  const logits = outputLogits({
    graph,
    evaluation: { kernels, parameters, workspace },
    hidden: hidden.subarray(first * width, (first + count) * width),
    rows: count,
  });
  const vocabulary = logits.length / count;
  return Array.from({ length: count }, (_, row) => logits.subarray(row * vocabulary, (row + 1) * vocabulary));
}
