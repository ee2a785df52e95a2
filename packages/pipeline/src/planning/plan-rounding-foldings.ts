import { expressionSources } from "@quern/models";
import type { MemberSpec } from "@quern/quantize";
import type { InputSource, Statistics } from "@quern/statistics";
import { QuernError } from "@quern/tensor";
import type { PlannedBlockMatrix } from "../layers/block-plan.ts";
import type { LayeredModel } from "../layers/linear-layers.ts";
import type { PlannedBlockCheck, PlannedFolding, PlannedMatrix, PlannedStage } from "../layers/plan.ts";
import { checkChangesAlong } from "../layers/planning/check-changes-along.ts";
import { foldedTensors } from "../layers/planning/folded-tensors.ts";
import { planChecks } from "../layers/planning/plan-checks.ts";
import { planFoldings } from "../layers/planning/plan-foldings.ts";
import { rotationOf } from "../layers/planning/plan-rotation.ts";
import { weightsOf } from "../layers/planning/weights-of.ts";

/**
 * Where the factors of transforms can be folded into a checkpoint whose tensors become blocks of ggml.
 *
 * @throws QuernError `ROUNDING_TRANSFORM` for rotations and weights that are blocks of ggml already, `QUANTIZE_UNKNOWN`, `QUANTIZE_OPTION`,
 * and the codes of `checkChangesAlong`
 */
export function planRoundingFoldings(params: {
  readonly model: LayeredModel;
  readonly transforms: readonly MemberSpec[];
  readonly stages: readonly PlannedStage<PlannedBlockMatrix>[];
  readonly statistics: Statistics | undefined;
  readonly inputs: InputSource;
}): {
  readonly foldings: readonly PlannedFolding[];
  readonly checks: readonly PlannedBlockCheck[];
  readonly warnings: readonly QuernError[];
} {
  const { model, transforms, stages, statistics, inputs } = params;
  const rotation = transforms.find((spec) => rotationOf(spec) !== undefined);
  if (rotation !== undefined) {
    throw new QuernError("ROUNDING_TRANSFORM", `${rotation.name} rotates checkpoints, and not GGUF files`);
  }
  const planned = stages.flatMap(({ groups }) => groups.flatMap((group) => group.layers));
  const layers = new Map(
    planned.flatMap((matrix) => {
      const layer = checkpointLayer(model, matrix);
      return layer === undefined ? [] : [[layer.weights.tensor, layer] as const];
    }),
  );
  const found = planFoldings({ model, transforms, layers: [...layers.values()], statistics, inputs });
  if (inputs.follows && found.foldings.length > 0) {
    checkChangesAlong({ name: "the conversion", inputs, foldings: found.foldings });
  }
  const changed = foldedTensors(found.foldings);
  const packed = model.description.tensors.find(
    ({ storage, expression }) =>
      typeof storage === "object" && expressionSources(expression).some((name) => changed.has(name)),
  );
  const blocks = new Set(found.foldings.flatMap(({ folding }) => folding.layer ?? []));
  if (packed === undefined) return { ...found, checks: planChecks(model, blocks) };
  throw new QuernError(
    "ROUNDING_TRANSFORM",
    `factors cannot be folded into "${packed.name}", whose weights are blocks of ggml already`,
    { subject: { tensor: packed.name } },
  );
}

/** A matrix as the checkpoint has it; undefined where that has it in another shape. */
function checkpointLayer(
  model: LayeredModel,
  { name, matrix, matrices, linear, decision }: PlannedBlockMatrix,
): Pick<PlannedMatrix, "weights" | "decision"> | undefined {
  const module = model.description.modules.find((one) => `${one.name}.weight` === name);
  const weight = module?.weights.length === matrices ? module.weights[matrix] : undefined;
  if (weight === undefined || !model.tensors.has(weight)) return undefined;
  const weights = weightsOf(model, weight);
  return weights.rows === linear.rows && weights.columns === linear.columns
    ? { weights, decision }
    : undefined;
}
