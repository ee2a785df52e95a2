import type { NormGraph } from "../graph.ts";
import { numbersOf } from "../parameters.ts";
import { type Evaluation, takeNumbers } from "./evaluation.ts";

/** Normalizes rows of `size` elements into a new array; rows take turns when there is a weight for each head. */
export function applyNorm(
  evaluation: Evaluation,
  { module, kind, hasBias, epsilon, size, weights }: NormGraph,
  x: Float32Array,
): Float32Array {
  const { kernels, parameters } = evaluation;
  const y = takeNumbers(evaluation, x.length);
  const weight = numbersOf(parameters, `${module}.weight`);
  const shape = { x, y, rows: x.length / size, columns: size, epsilon };
  const isShared = weights === size;
  const scaled = isShared ? { ...shape, weight } : shape;
  if (kind === "rms") {
    kernels.math.rmsNorm(scaled);
  } else {
    const bias = hasBias ? { bias: numbersOf(parameters, `${module}.bias`) } : {};
    kernels.math.layerNorm({ ...scaled, ...bias });
  }
  if (!isShared) for (let index = 0; index < y.length; index++) y[index]! *= weight[index % weights]!;
  return y;
}
