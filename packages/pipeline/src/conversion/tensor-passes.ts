import type { ConversionPlan } from "../plan.ts";

/** How a tensor of the model is gone through. */
export interface TensorPasses {
  /** Whether slabs of it are converted, for whichever outputs. */
  readonly slabs: boolean;
  /** How often it is rounded by its inputs: once for each type that outputs want. */
  readonly roundings: number;
}

/** By tensor of a plan. */
export function tensorPasses({
  tensors,
  outputs,
  rounding,
}: Pick<ConversionPlan, "tensors" | "outputs" | "rounding">): TensorPasses[] {
  const inSlabs = new Set(
    outputs.flatMap((output) =>
      output.tensors.flatMap(({ source, rounding: by }) => (by === undefined ? [source] : [])),
    ),
  );
  const roundings = new Map<number, number>();
  for (const { groups } of rounding?.stages ?? []) {
    for (const { tensor, matrix } of groups.flatMap(({ layers }) => layers)) {
      if (matrix === 0) roundings.set(tensor, (roundings.get(tensor) ?? 0) + 1);
    }
  }
  return tensors.map(({ name }, index) => ({
    slabs: inSlabs.has(name),
    roundings: roundings.get(index) ?? 0,
  }));
}
