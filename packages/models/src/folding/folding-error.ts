import type { Rotation } from "@quern/quantize";
import { evaluateBlock } from "../forward/evaluate/evaluate-block.ts";
import type { BlockGraph } from "../forward/graph.ts";
import type { ForwardKernels } from "../forward/kernels.ts";
import type { ParameterSet } from "../forward/parameters.ts";

/**
 * What foldings and rotations change in what a block computes: the size of the difference relative to what the block adds to hidden
 * states. Rounding to F32 makes some 1e-6 of it; a layer that was left out, much more.
 *
 * @param params.original The block's tensors (`loadParameters`).
 * @param params.folded The same after `foldTensor`.
 * @param params.hidden Hidden states before the block, of one sequence of tokens.
 * @param params.rotation How the folded block has hidden states rotated. @default not at all
 * @throws QuernError as `evaluateBlock`
 */
export function foldingError(params: {
  readonly graph: BlockGraph;
  readonly kernels: ForwardKernels;
  readonly original: ParameterSet;
  readonly folded: ParameterSet;
  readonly hidden: Float32Array;
  readonly tokens: number;
  readonly rotation?: Rotation;
}): number {
  const { graph, kernels, original, folded, hidden, tokens, rotation } = params;
  const run = (parameters: ParameterSet, states: Float32Array): Float32Array =>
    evaluateBlock({ graph, evaluation: { kernels, parameters }, hidden: states, tokens });
  const expected = run(original, hidden);
  const actual =
    rotation === undefined
      ? run(folded, hidden)
      : rotated(run(folded, rotated(hidden, rotation, "forward")), rotation, "backward");
  let difference = 0;
  let signal = 0;
  for (let index = 0; index < expected.length; index++) {
    difference += (actual[index]! - expected[index]!) ** 2;
    signal += (expected[index]! - hidden[index]!) ** 2;
  }
  return difference === 0 ? 0 : Math.sqrt(difference / signal);
}

function rotated(states: Float32Array, rotation: Rotation, direction: "forward" | "backward"): Float32Array {
  const { size } = rotation;
  const result = new Float32Array(states.length);
  for (let first = 0; first < states.length; first += size) {
    result.set(rotation[direction](Float64Array.from(states.subarray(first, first + size))), first);
  }
  return result;
}
