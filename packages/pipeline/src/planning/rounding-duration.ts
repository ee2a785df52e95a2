import { availableParallelism } from "node:os";
import type { Kernels } from "@quern/kernels";
import { membersOf, roundMatrix, type Treatment } from "@quern/quantize";
import type { BlockRounding } from "../layers/block-plan.ts";
import { sampleWeights } from "./duration.ts";

/** Enough rows for a figure, few enough to cost little. */
const SAMPLE = { rows: 96, columns: 512 };

/** What a core does of the n^3 / 3 operations of a factorization in a second, as measured for 2048 and 8192 columns (tools/bench, layers.mjs). */
const FACTORING_RATE = 8e9;

/**
 * Estimates how long rounding by inputs takes: the time of this machine for a sample, times the weights; half of it for each weight, half
 * for each of the inputs that its error is passed on to. Running a model along is not in it.
 *
 * @returns seconds
 */
export function estimateRoundingSeconds(params: {
  readonly kernels: Kernels;
  readonly rounding: Pick<BlockRounding, "stages" | "resources">;
}): number {
  const { kernels, rounding } = params;
  const groups = rounding.stages.flatMap((stage) => stage.groups);
  const layers = groups.flatMap((group) => group.layers);
  const perWeight = secondsPerWeight(kernels, layers[0]!.decision.treatment);
  const rounded = layers.reduce((sum, { linear: { rows, columns } }) => {
    return sum + rows * columns * (0.5 + columns / SAMPLE.columns / 2);
  }, 0);
  const factored = groups.reduce(
    (sum, { columns, needs }) => sum + (needs.hessian ? columns ** 3 / 3 : 0),
    0,
  );
  const cores = Math.min(Math.max(rounding.resources.threads, 1), availableParallelism());
  return (rounded * perWeight + factored / FACTORING_RATE) / cores;
}

function secondsPerWeight(kernels: Kernels, treatment: Treatment): number {
  const { rows, columns } = SAMPLE;
  const { math } = kernels;
  const values = sampleWeights(rows * columns);
  const hessian = { matrix: new Float64Array(columns * columns), tokens: 2 * columns };
  math.syrk({ x: sampleWeights(2 * columns * columns), tokens: 2 * columns, n: columns, h: hessian.matrix });
  math.mirror({ matrix: hessian.matrix, n: columns });
  const { grid, rounding } = membersOf(treatment, { kernels });
  const shape = { rows, columns };
  const feedback = rounding.prepare?.({ hessian, grid, shape, math });
  const round = (count: number): void => {
    const matrix = { rows: count, columns, values: values.subarray(0, count * columns) };
    roundMatrix({ matrix, grid, rounding, hessian, feedback, math });
  };
  // Programs are compiled while they run for the first time.
  round(8);
  const started = performance.now();
  round(rows);
  return (performance.now() - started) / 1000 / (rows * columns);
}
