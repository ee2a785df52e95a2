import type { BlockResult } from "@quern/inference";
import { type ForwardKernels, normalizeOutput, type OutputGraph, type ParameterSet } from "@quern/models";

/** Captures what the layer that makes logits reads. */
export interface OutputTask {
  readonly kind: "output";
  readonly graph: OutputGraph;
  readonly parameters: ParameterSet;
  /** Number of the window. */
  readonly index: number;
  /** Shared memory, tokens x width: the last hidden states, which are left as they are. */
  readonly hidden: Float32Array;
  /** Shared memory for as many numbers. */
  readonly target: Float32Array;
}

export function captureOutput(kernels: ForwardKernels, task: OutputTask): BlockResult {
  const { graph, parameters, hidden, target } = task;
  const { module, inputs } = graph.projection!;
  target.set(normalizeOutput({ graph, evaluation: { kernels, parameters }, hidden }));
  return { captured: [{ module, parts: [{ matrix: 0, rows: hidden.length / inputs }] }] };
}
