import { type ChosenFolding, foldedScales, type WeightChanges } from "@quern/models";
import type { InputStatistics } from "@quern/statistics";
import type { PlannedMatrix } from "../plan.ts";

/** What becomes of a model when factors are folded into it. */
export interface FoldedFactors {
  /** What becomes of the tensors of the checkpoint. */
  readonly changes: WeightChanges;
  /** By what the inputs of a layer are divided; undefined: by nothing. */
  factorsOf(planned: Pick<PlannedMatrix, "linear">): Float32Array | undefined;
}

/** @throws QuernError `FOLDING_FACTORS` */
export function foldedFactors(chosen: readonly ChosenFolding[]): FoldedFactors {
  const factors = new Map<string, Float32Array>(
    chosen.flatMap(({ folding, factors: own }) =>
      folding.readers.map(({ module, matrix }) => [readerKey(module, matrix), own] as const),
    ),
  );
  return {
    changes: foldedScales(chosen),
    factorsOf({ linear: { inputs: read } }) {
      if (read === undefined) return undefined;
      return (
        factors.get(readerKey(read.module, read.matrix)) ?? factors.get(readerKey(read.module, undefined))
      );
    },
  };
}

function readerKey(module: string, matrix: number | undefined): string {
  return `${module} ${matrix ?? "all"}`;
}

/** What is known of inputs when they are divided by factors, if by any. The Hessian is changed in place. */
export function divideInputs(
  statistics: InputStatistics,
  factors: Float32Array | undefined,
): InputStatistics {
  if (factors === undefined) return statistics;
  const { histogram: _known, ...rest } = statistics;
  const { hessian, heldOut, mean, meanSquare, meanMagnitude, largestMagnitude } = rest;
  const n = factors.length;
  const by = (values: Float32Array, power = 1): Float32Array =>
    values.map((value, index) => value / factors[index % n]! ** power);
  if (hessian) {
    for (let i = 0, at = 0; i < n; i++) {
      for (let j = 0; j < n; j++, at++) hessian[at]! /= factors[i]! * factors[j]!;
    }
  }
  for (const index of heldOut?.keys() ?? []) heldOut![index]! /= factors[index % n]!;
  return {
    ...rest,
    mean: by(mean),
    meanSquare: by(meanSquare, 2),
    meanMagnitude: by(meanMagnitude),
    largestMagnitude: by(largestMagnitude),
  };
}
