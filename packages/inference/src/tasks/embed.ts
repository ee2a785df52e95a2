import { embedTokens, type EmbeddingGraph, type ParameterSet } from "@quern/models";
import type { ModelWindow } from "../window.ts";
import { checkFinite } from "./finite.ts";
import type { TaskResources } from "./task-resources.ts";

/** Tokens of a window to its first hidden states. */
export interface EmbedTask {
  readonly kind: "embed";
  readonly graph: EmbeddingGraph;
  readonly parameters: ParameterSet;
  readonly window: ModelWindow;
  /** Number of the window, for messages. */
  readonly index: number;
  /** Shared memory for tokens x width numbers; it is written. */
  readonly hidden: Float32Array;
}

/** @throws QuernError `ACTIVATION_NOT_FINITE`, and the codes of `embedTokens` */
export function runEmbed({ kernels, workspace }: TaskResources, task: EmbedTask): void {
  const { graph, parameters, window, index, hidden } = task;
  const { tokens, starts } = window;
  workspace.clear();
  hidden.set(embedTokens({ graph, evaluation: { kernels, parameters, workspace }, tokens, starts }));
  checkFinite({ hidden, width: graph.width, where: graph.module, window: index });
}
