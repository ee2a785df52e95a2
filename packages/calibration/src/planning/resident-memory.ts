import { processMemory } from "@quern/threads";
import type { RunnableModel } from "@quern/inference";
import type { LinearInputs } from "@quern/models";

/**
 * Resident memory of Node with this package loaded and a model described, and of each further thread with its kernels: as
 * measured (Node 20 on Linux x64, native kernels), rounded up.
 */
const PROCESS_BYTES = 130 * 2 ** 20;
const THREAD_BYTES = 32 * 2 ** 20;

/** Of what a thread works with, as much again waits for the garbage collector. */
const GARBAGE = 2;

/** Bytes of resident memory of a process that runs a model. */
export function residentMemory(params: {
  readonly model: RunnableModel;
  readonly threads: number;
  /** Tokens of the longest window. */
  readonly longest: number;
  /** Bytes of weights, and of buffers, at once. */
  readonly weights: number;
  readonly buffers: number;
}): number {
  const { model, threads, longest, weights, buffers } = params;
  const activations = Math.max(...model.inputs.map((inputs) => activationBytes(model, inputs, longest)));
  return (
    processMemory(PROCESS_BYTES) +
    threads * THREAD_BYTES +
    buffers +
    weights +
    GARBAGE * Math.max(threads, 1) * activations
  );
}

/** What a thread needs for a window in a block: inputs and results of its layers, and copies of the hidden state. */
function activationBytes(model: RunnableModel, inputs: readonly LinearInputs[], tokens: number): number {
  const elements = inputs.map(({ modules, columns, rowsPerToken, matrices }) => {
    const outputs = modules.map((module) => outputsOf(model, module) / matrices);
    return rowsPerToken * (columns + total(outputs));
  });
  return 4 * tokens * (total(elements) + 4 * model.graph.embedding.width);
}

/** Rows of all matrices of a layer. */
function outputsOf({ tensors }: RunnableModel, module: string): number {
  const shape = tensors.get(`${module}.weight`)?.shape ?? [];
  return shape.slice(0, -1).reduce((product, size) => product * size, 1);
}

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
