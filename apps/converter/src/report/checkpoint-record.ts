import type { CheckpointPlan, CheckpointReport } from "@quern/pipeline";
import type { QuantizationRecipe } from "@quern/recipes";
import { tool } from "../version.ts";

/** What a report says of a quantized checkpoint. Holds no time and no place, so that the same conversion has the same record anywhere. */
export function checkpointReportRecord(params: {
  readonly plan: CheckpointPlan;
  readonly recipe: QuantizationRecipe;
  readonly report: CheckpointReport;
}): Record<string, unknown> {
  const { plan, recipe, report } = params;
  return {
    tool,
    model: plan.model.checkpoint.name,
    architecture: plan.model.description.architecture,
    parameters: plan.parameters,
    sourceBytes: plan.sourceBytes,
    recipe,
    files: report.files,
    bytes: report.bytes,
    bitsPerWeight: plan.bitsPerWeight,
    layers: report.layers,
    kept: plan.kept,
    warnings: report.warnings.map(({ code, message }) => ({ code, message })),
  };
}
