import type { ConversionPlan } from "@quern/pipeline";
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
    importance: importanceRecord(plan.importance),
    resources: plan.resources,
    warnings: plan.warnings.map(({ code, message, subject }) => ({ code, message, subject })),
    outputs: plan.outputs.map(({ files, ...output }) => ({
      ...output,
      files: files.map(({ layout: _layout, ...file }) => file),
    })),
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
