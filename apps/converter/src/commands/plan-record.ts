import type { ConversionPlan } from "@quern/pipeline";

/** A plan as `--json` reports it: plain data, without the parts that only the run needs. */
export function planRecord(plan: ConversionPlan): Record<string, unknown> {
  return {
    type: "plan",
    model: plan.checkpoint.name,
    architecture: plan.architecture,
    parameters: plan.parameters,
    sourceBytes: plan.sourceBytes,
    importance: plan.importance?.file,
    resources: plan.resources,
    warnings: plan.warnings.map(({ code, message, subject }) => ({ code, message, subject })),
    outputs: plan.outputs.map(({ files, ...output }) => ({
      ...output,
      files: files.map(({ layout: _layout, ...file }) => file),
    })),
  };
}
