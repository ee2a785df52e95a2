import { QuernError } from "@quern/tensor";
import { type Code, parametersFor, type Range, type TileParameters } from "../codes/code.ts";
import type { ScaleStore } from "../scale-store.ts";
import type { Calibrator, WeightedValues } from "./calibrator.ts";

export interface CalibrateRangeParams {
  readonly calibrator: Calibrator;
  readonly code: Code;
  readonly store: ScaleStore;
  /** What was seen; parts of a stream in order, or histograms. */
  readonly batches: readonly WeightedValues[];
}

export interface CalibratedRange extends TileParameters {
  readonly range: Range;
}

/**
 * Scale and shift of codes for values of which there are samples: static quantization of activations.
 *
 * @throws QuernError `QUANTIZE_TOO_FEW_VALUES`
 */
export function calibrateRange({ calibrator, code, store, batches }: CalibrateRangeParams): CalibratedRange {
  const seen = batches.reduce(
    (sum, { values, weights }) => sum + (weights ? total(weights) : values.length),
    0,
  );
  if (!(seen >= calibrator.fewestValues) || batches.some(({ values }) => values.length === 0)) {
    throw new QuernError(
      "QUANTIZE_TOO_FEW_VALUES",
      `calibrator ${calibrator.name} needs ${calibrator.fewestValues} values, but there are ${seen}`,
    );
  }
  const range = calibrator.range({
    batches,
    bits: code.bits,
    error: (candidate, norm) => {
      const parameters = parametersFor(code, candidate, store);
      return batches.reduce((sum, batch) => sum + weightedError({ ...batch, code, parameters, norm }), 0);
    },
  });
  return { range, ...parametersFor(code, range, store) };
}

interface WeightedErrorParams extends WeightedValues {
  readonly code: Code;
  readonly parameters: TileParameters;
  readonly norm: number;
}

/** Sum of weight * |value - its value on the grid|^norm. */
function weightedError(params: WeightedErrorParams): number {
  const { values, weights, code, norm } = params;
  const { scale, shift } = params.parameters;
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    const error = Math.abs(value - code.decode(code.encode(value, scale, shift), scale, shift));
    sum += (weights ? weights[i]! : 1) * (norm === 2 ? error * error : error ** norm);
  }
  return sum;
}

function total(values: Float32Array | Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
