import { QuernError } from "@quern/tensor";
import { checkMatrix } from "../matrix.ts";
import type { ChosenFactors, Transform, TransformTask } from "./transform.ts";

/**
 * Chooses the factors by which the input columns of layers are multiplied.
 *
 * @throws QuernError `QUANTIZE_INPUT_MISSING`, `QUANTIZE_SHAPE`, `QUANTIZE_NOT_FINITE`
 */
export function chooseFactors(task: TransformTask & { readonly transform: Transform }): ChosenFactors {
  const { transform, layers } = task;
  const columns = layers[0]?.columns;
  if (columns === undefined || layers.some((layer) => layer.columns !== columns)) {
    throw new QuernError(
      "QUANTIZE_SHAPE",
      "layers that share their inputs have the same number of columns, and there is at least one",
    );
  }
  for (const layer of layers) checkMatrix(layer);
  for (const need of transform.needs) {
    if (task[need] === undefined) {
      throw new QuernError("QUANTIZE_INPUT_MISSING", `transform ${transform.name} needs ${need}`, {
        subject: { key: need },
      });
    }
  }
  for (const key of ["meanMagnitudes", "largestMagnitudes"] as const) {
    const magnitudes = task[key];
    if (magnitudes && magnitudes.length !== columns) {
      throw new QuernError(
        "QUANTIZE_SHAPE",
        `${key} has ${magnitudes.length} numbers, but layers have ${columns} columns`,
        {
          subject: { key },
        },
      );
    }
    if (magnitudes?.some((value) => !(value >= 0 && value < Infinity))) {
      throw new QuernError("QUANTIZE_NOT_FINITE", `${key} must be finite and not negative`, {
        subject: { key },
      });
    }
  }
  return transform.choose(task);
}
