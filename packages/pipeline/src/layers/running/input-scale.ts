import { formatOf } from "@quern/checkpoints";
import {
  absoluteMaximum,
  byMiddles,
  type Calibrator,
  CALIBRATORS,
  calibrateRange,
  type Code,
  findMember,
  floatScales,
  histogramValues,
  type MemberSpec,
  tableCode,
  uniformCode,
} from "@quern/quantize";
import { addToHistogram, HISTOGRAM_BINS, histogramEdge, type InputStatistics } from "@quern/statistics";
import { QuernError } from "@quern/tensor";
import { about } from "../about-tensor.ts";
import type { PlannedLinear } from "../plan.ts";

/**
 * The scale of the inputs of a layer, where that is stored: as the recipe's calibrator chooses it, or with the largest magnitude as the
 * largest code. Calibrators look at the histogram of all inputs. Where factors have divided these by column, that tells nothing any more:
 * then at the inputs that were held out, which are divided one by one.
 *
 * @throws QuernError `STATISTICS_NOT_COLLECTED` where there is neither, `QUANTIZE_TOO_FEW_VALUES`
 */
export function inputScale(
  { linear, decision, layer, weights }: PlannedLinear,
  statistics: InputStatistics,
): number {
  const { calibrator } = decision.activations ?? {};
  const code = codeOf(decision.format, layer);
  const seen = calibrator === undefined ? largestOf(statistics) : histogramOf(statistics, linear.module);
  if (seen.largest === 0) return 1;
  const { scale } = about(weights.tensor, () =>
    calibrateRange({
      calibrator: calibrator === undefined ? absoluteMaximum() : calibratorOf(calibrator),
      code,
      store: floatScales("F32"),
      batches: [seen.values()],
    }),
  );
  return scale;
}

/** Inputs are of the format of the weights. */
function codeOf(format: string, layer: PlannedLinear["layer"]): Code {
  const { values } = formatOf(format).form(layer);
  const { bits } = layer.parameters;
  if (values === undefined) return uniformCode({ bits, symmetric: true, range: "restricted" });
  return tableCode({ bits, values, encode: byMiddles(values) });
}

function calibratorOf({ name, options = {} }: MemberSpec): Calibrator {
  return (findMember(CALIBRATORS, name) as (options: object) => Calibrator)(options);
}

interface SeenInputs {
  readonly largest: number;
  values(): ReturnType<typeof histogramValues>;
}

function largestOf({ largestMagnitude }: InputStatistics): SeenInputs {
  const largest = most(largestMagnitude);
  return {
    largest,
    values: () => ({ values: Float64Array.of(-largest, largest), weights: Float64Array.of(1, 1) }),
  };
}

function histogramOf({ histogram, heldOut, largestMagnitude }: InputStatistics, module: string): SeenInputs {
  if (histogram === undefined && heldOut === undefined) {
    throw new QuernError(
      "STATISTICS_NOT_COLLECTED",
      `"${module}": a calibrator of inputs needs their histogram, or some that were held out where factors divide them`,
      { subject: { tensor: module } },
    );
  }
  const counts = histogram ?? new Float64Array(HISTOGRAM_BINS);
  if (histogram === undefined) addToHistogram(counts, heldOut!);
  const largest = most(histogram === undefined ? heldOut! : largestMagnitude);
  return { largest, values: () => histogramValues({ counts, lowerEdge: histogramEdge, largest }) };
}

function most(values: Float32Array): number {
  return values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
}
