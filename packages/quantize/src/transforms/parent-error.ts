import { nearest } from "../roundings/nearest.ts";
import { type FactorErrorParams, scaledFitting } from "./factor-error.ts";
import { scaleColumns, type TransformTask } from "./transform.ts";

/**
 * What the module around the layers loses with some factors s when their weights are rounded to nearest: `parentError` of
 * Q(W diag(s)) diag(1/s). Ranges are searched as in `factorErrors`.
 *
 * @returns the error, a function of the factors
 */
export function parentFactorErrors(
  params: FactorErrorParams & { readonly parentError: NonNullable<TransformTask["parentError"]> },
): (factors: Float32Array) => number {
  const { layers, grid, math, parentError } = params;
  const fittingWith = scaledFitting(params);
  return (factors) => {
    const fitting = fittingWith(factors);
    const changed = layers.map((layer) => {
      const { rows, columns } = layer;
      const { values } = nearest().round({ matrix: scaleColumns(layer, factors), grid, fitting, math });
      for (let start = 0; start < values.length; start += columns) {
        for (let j = 0; j < columns; j++) values[start + j]! /= factors[j]!;
      }
      return { rows, columns, values };
    });
    return parentError(changed);
  };
}
