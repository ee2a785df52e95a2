import type { BlockRounding, ConversionPlan } from "@quern/pipeline";
import type { Importance } from "@quern/statistics";

/** A plan as `--json` reports it: plain data, without the parts that only the run needs. */
export function planRecord(plan: ConversionPlan): Record<string, unknown> {
  return {
    type: "plan",
    model: plan.checkpoint.name,
    architecture: plan.architecture,
    parameters: plan.parameters,
    sourceBytes: plan.sourceBytes,
    networkBytes: plan.networkBytes,
    networkBytesLeft: plan.networkBytesLeft,
    resumes: plan.resumes,
    importance: importanceRecord(plan.importance),
    ...(plan.rounding && { rounding: roundingRecord(plan.rounding) }),
    resources: plan.resources,
    warnings: plan.warnings.map(({ code, message, subject }) => ({ code, message, subject })),
    outputs: plan.outputs.map(({ files, ...output }) => ({
      ...output,
      files: files.map(({ layout: _layout, ...file }) => file),
    })),
  };
}

/** What is rounded by its inputs, group by group; tensors say so themselves, too. */
function roundingRecord({
  name,
  stages,
  resources,
  inputs,
  withoutInputs,
}: BlockRounding): Record<string, unknown> {
  return {
    name,
    follows: inputs.follows,
    resources,
    withoutInputs,
    groups: stages.flatMap(({ groups }) =>
      groups.map(({ inputs: read, columns, bytes, layers }) => ({
        ...read,
        columns,
        bytes,
        tensors: layers.map(({ name, type }) => ({ name, type })),
      })),
    ),
  };
}

/** What an importance matrix holds: the tensors with their gaps, those that are left out by name. */
function importanceRecord(importance: Importance | undefined): Record<string, unknown> | undefined {
  if (importance === undefined) {
    return undefined;
  }
  const { file, datasets, chunks, examinations, leftOut } = importance;
  return { file, datasets, chunks, tensors: examinations, leftOut: [...leftOut] };
}
