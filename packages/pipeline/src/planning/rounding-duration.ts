import { availableParallelism } from "node:os";
import type { Kernels } from "@quern/kernels";
import { membersOf, roundMatrix, type Treatment } from "@quern/quantize";
import type { BlockRounding } from "../layers/block-plan.ts";
import { sampleWeights, secondsPerOperation } from "./duration.ts";

/** Enough rows for a figure, few enough to cost little. */
const SAMPLE_ROWS = 64;
/** A share of the time grows with the columns, since errors are passed on to more of them. Multiples of every block size. */
const SAMPLE_COLUMNS = [256, 1024] as const;
/** Of which the shortest counts: programs are compiled while they run for the first time, and others may use the processor. */
const SAMPLES = 3;

/**
 * What a factorization takes beyond n^3 / 3 operations at the speed of products, and for each element of what is factorized: as measured for
 * 512 to 8192 columns (tools/bench, layers.mjs).
 */
const FACTORING_SHARE = 1.3;
const PREPARING_SECONDS = 15e-9;

/**
 * Estimates how long rounding by inputs takes: the time of this machine for samples of each kind, times the weights. Running a model along is not
 * in it.
 *
 * @returns seconds
 */
export function estimateRoundingSeconds(params: {
  readonly kernels: Kernels;
  readonly rounding: Pick<BlockRounding, "stages" | "resources">;
}): number {
  const { kernels, rounding } = params;
  const groups = rounding.stages.flatMap((stage) => stage.groups);
  const costs = new Map<string, RoundingCost>();
  let seconds = 0;
  for (const { decision, linear } of groups.flatMap((group) => group.layers)) {
    const key = JSON.stringify(decision.treatment);
    const cost = costs.get(key) ?? costOf(kernels, decision.treatment);
    costs.set(key, cost);
    seconds += linear.rows * linear.columns * (cost.weight + cost.product * linear.columns);
  }
  const operation = FACTORING_SHARE * secondsPerOperation(kernels);
  for (const { columns, needs } of groups) {
    if (needs.hessian) seconds += (columns ** 3 / 3) * operation + columns ** 2 * PREPARING_SECONDS;
  }
  return seconds / Math.min(Math.max(rounding.resources.threads, 1), availableParallelism());
}

/** Seconds for each weight, and more for each of its row's columns. */
interface RoundingCost {
  readonly weight: number;
  readonly product: number;
}

function costOf(kernels: Kernels, treatment: Treatment): RoundingCost {
  const [few, many] = SAMPLE_COLUMNS;
  const [least, most] = [few, many].map((columns) => secondsPerWeight(kernels, treatment, columns)) as [
    number,
    number,
  ];
  const product = Math.max((most - least) / (many - few), 0);
  return { product, weight: Math.max(most - product * many, 0) };
}

function secondsPerWeight(kernels: Kernels, treatment: Treatment, columns: number): number {
  const { math } = kernels;
  const { grid, rounding } = membersOf(treatment, { kernels });
  const matrix = { rows: SAMPLE_ROWS, columns, values: sampleWeights(SAMPLE_ROWS * columns) };
  const hessian = { matrix: neighbours(columns), tokens: 4 * columns };
  const feedback = rounding.prepare?.({ hessian, grid, shape: matrix, math });
  const seconds = Array.from({ length: SAMPLES }, () => {
    const started = performance.now();
    roundMatrix({ matrix, grid, rounding, hessian, feedback, math });
    return (performance.now() - started) / 1000;
  });
  return Math.min(...seconds) / (SAMPLE_ROWS * columns);
}

/** The Hessian of inputs of which neighbours go together. */
function neighbours(columns: number): Float64Array {
  const powers = Float64Array.from({ length: columns }, (_, distance) => 0.9 ** distance);
  const matrix = new Float64Array(columns * columns);
  for (let i = 0, at = 0; i < columns; i++) {
    for (let j = 0; j < columns; j++, at++) matrix[at] = powers[Math.abs(i - j)]!;
  }
  return matrix;
}
