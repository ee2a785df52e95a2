import { basename } from "node:path";
import type { ConversionPlan, ConversionReport, PlannedOutput, TensorError } from "@quern/pipeline";
import {
  addSums,
  type ConversionRecord,
  errorRecord,
  type OutputRecord,
  type TensorRecord,
  tensorPlace,
} from "@quern/reports";
import { sourceType, sourceTypes } from "../format/source-types.ts";
import { tool } from "../version.ts";

/**
 * What a report says of a conversion whose errors were measured.
 *
 * @param params.settings What was asked for, see `conversionSettings`.
 */
export function conversionRecord(params: {
  readonly plan: ConversionPlan;
  readonly report: ConversionReport;
  readonly settings: ConversionRecord["settings"];
}): ConversionRecord {
  const { plan, report, settings } = params;
  const sources = new Map(plan.tensors.map((tensor) => [tensor.name, sourceType(tensor)]));
  return {
    tool,
    model: plan.checkpoint.name,
    architecture: plan.architecture,
    parameters: plan.parameters,
    sourceBytes: plan.sourceBytes,
    sourceTypes: sourceTypes(plan),
    ...(plan.importance === undefined ? {} : { importance: importanceOf(plan.importance) }),
    settings,
    outputs: plan.outputs.map((output, index) =>
      outputRecord({ output, sources, errors: report.outputs[index]!.errors ?? [] }),
    ),
  };
}

function outputRecord(params: {
  readonly output: PlannedOutput;
  /** Types of the model's tensors. */
  readonly sources: ReadonlyMap<string, string>;
  readonly errors: readonly TensorError[];
}): OutputRecord {
  const { output, sources, errors } = params;
  const byName = new Map(errors.map((error) => [error.name, error]));
  const all = addSums(errors);
  return {
    type: output.type,
    files: output.files.map(({ path, fileSize }) => ({ name: basename(path), bytes: fileSize })),
    bytes: output.fileSize,
    bitsPerWeight: output.bitsPerWeight,
    tensors: output.tensors.map(({ name, source, type, ne, size, requantized, fallback }): TensorRecord => {
      const error = byName.get(name);
      return {
        name,
        ...tensorPlace(name),
        shape: ne,
        from: sources.get(source)!,
        type,
        bytes: size,
        requantized,
        ...(fallback === undefined ? {} : { fallback: `instead of ${fallback.from}: ${fallback.reason}` }),
        ...(error === undefined ? {} : { errors: errorRecord(error) }),
        ...(error?.rounding && { rounding: error.rounding }),
      };
    }),
    ...(all === undefined ? {} : { errors: errorRecord(all) }),
  };
}

function importanceOf(
  importance: NonNullable<ConversionPlan["importance"]>,
): NonNullable<ConversionRecord["importance"]> {
  const { file, datasets, chunks } = importance;
  return { file: basename(file), datasets, ...(chunks === 0 ? {} : { chunks }) };
}
