import type { BlockTask, Capture, ModelWindow, RunnableModel } from "@quern/inference";
import type { LinearInputs, ParameterSet } from "@quern/models";
import type { OutputTask } from "./accumulation/output.ts";

/** Runs one window through a stage, and captures what is read. */
export type StageTask = BlockTask | OutputTask;

/** What is collected together: the inputs of a block, or that of the output layer. */
export interface Stage {
  /** Number of the block; for the output layer, the number of blocks. */
  readonly block: number;
  /** For people: "block 3 of 32". */
  readonly place: string;
  readonly inputs: readonly LinearInputs[];
  /** Parameters that it needs. */
  readonly tensors: readonly string[];
  /** Whether hidden states come out of it that are needed later. */
  readonly changesStates: boolean;
  task(params: {
    readonly parameters: ParameterSet;
    readonly window: ModelWindow;
    readonly index: number;
    readonly hidden: Float32Array;
    readonly keep: boolean;
    readonly capture: readonly Capture[];
  }): StageTask;
}

/** In the order of the computation. */
export function stagesOf({ graph, inputs, outputInputs }: RunnableModel): Stage[] {
  const { blocks, output } = graph;
  const stages = blocks.map((block, index): Stage => ({
    block: index,
    place: `block ${index + 1} of ${blocks.length}`,
    inputs: inputs[index]!,
    tensors: block.tensors,
    changesStates: true,
    task: (params) => ({ kind: "block", graph: block, ...params }),
  }));
  if (outputInputs === undefined) return stages;
  const normTensors = output.tensors.filter(
    (name) => !outputInputs.modules.includes(name.replace(/\.weight$/, "")),
  );
  const last: Stage = {
    block: blocks.length,
    place: "output layer",
    inputs: [outputInputs],
    tensors: normTensors,
    changesStates: false,
    task: ({ parameters, index, hidden, capture }) => ({
      kind: "output",
      graph: output,
      parameters,
      index,
      hidden,
      target: capture[0]!.target,
    }),
  };
  return [...stages, last];
}
