import type { CheckpointPlan } from "@quern/pipeline/layers";
import { containerOf, type QuantizationRecipe } from "@quern/recipes";

/** A plan as `--json` reports it. */
export function checkpointPlanRecord(
  plan: CheckpointPlan,
  recipe: QuantizationRecipe,
): Record<string, unknown> {
  const { model, checkpoint, stages, kept, parameters, sourceBytes, networkBytes, fileSize, bitsPerWeight } =
    plan;
  const { folder, replaces, resumes, resources, kernels, warnings, foldings, checks } = plan;
  return {
    type: "plan",
    model: model.checkpoint.name,
    architecture: model.description.architecture,
    parameters,
    sourceBytes,
    networkBytes,
    networkBytesLeft: plan.networkBytesLeft,
    container: containerOf(recipe).name,
    recipe,
    folder,
    replaces,
    resumes,
    files: [
      ...checkpoint.shards.shards.map(({ fileName: name, layout }) => ({ name, bytes: layout.fileSize })),
      ...[...checkpoint.files].map(([name, { byteLength: bytes }]) => ({ name, bytes })),
    ],
    copies: checkpoint.copies,
    fileSize,
    bitsPerWeight,
    layers: stages.flatMap(({ groups }) =>
      groups.flatMap(({ layers }) => layers.map(({ linear, decision }) => ({ ...linear, ...decision }))),
    ),
    kept,
    foldings: foldings.map(({ folding: { name, divides } }) => ({ name, divides })),
    comparedBlocks: checks.map(({ graph }) => graph.layer),
    resources,
    kernels,
    warnings: warnings.map(({ code, message, subject }) => ({ code, message, subject })),
  };
}
