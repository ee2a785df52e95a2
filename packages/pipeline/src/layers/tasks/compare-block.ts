import type { CheckpointTensor } from "@quern/checkpoints";
import type { Kernels } from "@quern/kernels";
import { type BlockGraph, foldingError, loadParameters, type ModelTensor } from "@quern/models";
import { randomizedHadamard, uniformAt } from "@quern/quantize";
import type { OpenReader } from "./weights.ts";

/** Runs a block as it was and as it became, on a few random hidden states. */
export interface CompareBlockTask {
  readonly kind: "compare-block";
  readonly graph: BlockGraph;
  /** Elements of a hidden state. */
  readonly width: number;
  /** Tensors of the model that the block needs. */
  readonly original: readonly ModelTensor[];
  /** The same, with everything folded in. */
  readonly folded: readonly ModelTensor[];
  /** Tensors of the checkpoint that these are made from. */
  readonly sources: readonly CheckpointTensor[];
  /** How hidden states are rotated. @default not at all */
  readonly rotation?: { readonly size: number; readonly seed: number };
  /** Below which error nothing is wrong. */
  readonly tolerance: number;
}

/** Enough that most of what a block does is done. */
const TOKENS = 32;

/** A router whose choice was close may choose otherwise after rounding: for other inputs it will not. */
const TRIES = 3;

/** @returns the error, as `foldingError` has it, of the hidden states for which it is least */
export async function compareBlock(
  task: CompareBlockTask,
  kernels: Kernels,
  open: OpenReader,
): Promise<number> {
  const { graph, width, sources, tolerance } = task;
  const load = (tensors: readonly ModelTensor[]): ReturnType<typeof loadParameters> =>
    loadParameters({
      tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])),
      reader: open(sources),
      names: graph.tensors,
    });
  const original = await load(task.original);
  const folded = await load(task.folded);
  const turned = task.rotation && { rotation: randomizedHadamard(task.rotation) };
  let least = Infinity;
  for (let seed = 0; seed < TRIES && !(least <= tolerance); seed++) {
    const hidden = normalNumbers(TOKENS * width, seed);
    const error = foldingError({ graph, kernels, original, folded, hidden, tokens: TOKENS, ...turned });
    least = Math.min(least, Number.isNaN(error) ? Infinity : error);
  }
  return least;
}

/** Of mean 0 and variance 1 (Box and Muller 1958). */
function normalNumbers(count: number, seed: number): Float32Array {
  return Float32Array.from(
    { length: count },
    (_, index) =>
      Math.sqrt(-2 * Math.log(1 - uniformAt(seed, 2 * index))) *
      Math.cos(2 * Math.PI * uniformAt(seed, 2 * index + 1)),
  );
}
