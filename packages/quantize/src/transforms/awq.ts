import { QuernError } from "@quern/tensor";
import type { Matrix } from "../matrix.ts";
import { factorErrors, sampleRows } from "./factor-error.ts";
import { parentFactorErrors } from "./parent-error.ts";
import type { Transform } from "./transform.ts";

export interface AwqOptions {
  /** Exponents tried: 0, 1 / steps, ... (steps - 1) / steps. @default 20 */
  readonly steps?: number;
  /** Whether columns of small weights get larger factors, as in AutoAWQ. @default true */
  readonly weighWeights?: boolean;
  /** Rows of each layer on which factors are tried; not where a parent is compared, which needs all of them. @default 256 */
  readonly rows?: number;
  /**
   * What loses least: the outputs of the layers, each for itself, or the output of the module around them where a task can tell
   * (`parentError`), as in llm-awq. @default "layers"
   */
  readonly loss?: "layers" | "parent";
}

/**
 * Activation-aware weight quantization (Lin et al. 2024): columns whose inputs are large are made larger, so that rounding hurts them less.
 * Factors are x^r, or x^r / w^(1 - r) with w the mean over rows of |w| / (largest |w| of its tile), for mean magnitudes x of the inputs;
 * r is the exponent with the least output error, which the Hessian gives without the inputs themselves; that of a parent needs some inputs.
 */
export function awq(options: AwqOptions = {}): Transform {
  const { steps = 20, weighWeights = true, rows = 256, loss = "layers" } = options;
  if (!(Number.isInteger(steps) && steps >= 1 && Number.isInteger(rows) && rows >= 1)) {
    throw new QuernError("QUANTIZE_OPTION", `AWQ takes steps and rows from 1 on, not ${steps} and ${rows}`);
  }
  if (loss !== "layers" && loss !== "parent") {
    throw new QuernError(
      "QUANTIZE_OPTION",
      `the loss of AWQ is "layers" or "parent", not ${JSON.stringify(loss)}`,
    );
  }
  return {
    name: "awq",
    comparesParents: loss === "parent",
    needs: ["hessian", "meanMagnitudes", "grid", "math"],
    choose(task) {
      const { layers, calibrator } = task;
      const grid = task.grid!;
      const math = task.math!;
      const inputs = task.meanMagnitudes!;
      const weights = weighWeights
        ? meanWeights(layers, Math.min(grid.unitOf(layers[0]!).columns, layers[0]!.columns))
        : undefined;
      const parentError = loss === "parent" ? task.parentError : undefined;
      const common = { grid, calibrator, hessian: task.hessian!.matrix, math };
      const errorOf = parentError
        ? parentFactorErrors({ ...common, layers, parentError })
        : factorErrors({ ...common, layers: layers.map((layer) => sampleRows(layer, rows, grid)) });
      const tried = Array.from({ length: steps }, (_, step) => {
        const exponent = step / steps;
        return { exponent, error: errorOf(factorsFor(inputs, weights, exponent)) };
      });
      const best = tried.reduce((least, next) => (next.error < least.error ? next : least));
      // No factors at all is what exponent 0 means where weights do not count.
      const plain = factorsFor(inputs, undefined, 0);
      if (errorOf(plain) <= best.error) return { factors: plain, exponent: 0, tried };
      return { factors: factorsFor(inputs, weights, best.exponent), exponent: best.exponent, tried };
    },
  };
}

/** Normalized so that the product of the smallest and the largest is 1. */
function factorsFor(inputs: Float32Array, weights: Float32Array | undefined, exponent: number): Float32Array {
  const factors = inputs.map((input, j) => {
    const power = input ** exponent;
    const factor = weights ? power / (weights[j]! ** (1 - exponent) + 1e-4) : power;
    return Math.max(factor, 1e-4);
  });
  const least = factors.reduce((a, b) => Math.min(a, b));
  const most = factors.reduce((a, b) => Math.max(a, b));
  const middle = Math.sqrt(least * most);
  return factors.map((factor) =>
    Number.isFinite(factor / middle) && factor / middle > 0 ? factor / middle : 1,
  );
}

/** By column: mean over the rows of all layers of |w| over the largest |w| of its group of columns. */
function meanWeights(layers: readonly Matrix[], width: number): Float32Array {
  const { columns } = layers[0]!;
  const sums = new Float64Array(columns);
  let count = 0;
  for (const { rows, values } of layers) {
    count += rows;
    for (let start = 0; start < rows * columns; start += columns) {
      for (let column = 0; column < columns; column += width) {
        const group = values.subarray(start + column, start + Math.min(column + width, columns));
        const most = group.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
        if (most > 0) group.forEach((value, j) => (sums[column + j]! += Math.abs(value) / most));
      }
    }
  }
  return Float32Array.from(sums, (sum) => sum / count);
}
