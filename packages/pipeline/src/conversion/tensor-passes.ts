import type { ConversionPlan } from "../plan.ts";
import type { FinishedTensors } from "./finished-tensors.ts";
import { TensorPlaces } from "./tensor-places.ts";

/** How a tensor of the model is gone through. */
export interface TensorPasses {
  /** Whether slabs of it are converted, for whichever outputs. */
  readonly slabs: boolean;
  /** How often it is rounded by its inputs: once for each type that outputs want. */
  readonly roundings: number;
}

/**
 * By tensor of a plan.
 *
 * @param finished Tensors that outputs have already.
 */
export function tensorPasses(
  { tensors, outputs, rounding }: Pick<ConversionPlan, "tensors" | "outputs" | "rounding">,
  finished: FinishedTensors,
): TensorPasses[] {
  const inSlabs = new Set(
    outputs.flatMap((output, index) =>
      output.tensors.flatMap(({ source, rounding: by }) =>
        by === undefined && !finished.has(index, source) ? [source] : [],
      ),
    ),
  );
  const places = new TensorPlaces({ tensors, outputs });
  const roundings = new Map<number, number>();
  for (const { groups } of rounding?.stages ?? []) {
    for (const { tensor, name, matrix, targets } of groups.flatMap(({ layers }) => layers)) {
      const isFinished = targets.every(({ file }) => finished.has(places.outputOf(file), name));
      if (matrix === 0 && !isFinished) roundings.set(tensor, (roundings.get(tensor) ?? 0) + 1);
    }
  }
  return tensors.map(({ name }, index) => ({
    slabs: inSlabs.has(name),
    roundings: roundings.get(index) ?? 0,
  }));
}
