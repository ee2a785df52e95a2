import type { InputSource } from "@quern/statistics";
import { QuernError } from "@quern/tensor";
import type { PlannedFolding } from "../plan.ts";

/**
 * Checks that a source whose inputs follow what layers become can run a model that transforms have changed, and keeps the inputs that they
 * compare.
 *
 * @param params.name Of what has the transforms, for messages.
 * @throws QuernError `PLAN_TRANSFORM_FOLLOWS`, `STATISTICS_NOT_COLLECTED`
 */
export function checkChangesAlong(params: {
  readonly name: string;
  readonly inputs: InputSource;
  readonly foldings: readonly PlannedFolding[];
}): void {
  const { name, inputs, foldings } = params;
  if (inputs.change === undefined) {
    throw new QuernError(
      "PLAN_TRANSFORM_FOLLOWS",
      `${name} has transforms, and where inputs follow what layers become, their source has to run the model as these change it: this one cannot`,
    );
  }
  const { heldOut = false, windowRows = 0 } = inputs.kept ?? {};
  for (const { folding, parent } of foldings) {
    if (parent === undefined) continue;
    const isAttention = parent.parent.kind === "attention";
    if (isAttention ? windowRows > 0 : heldOut) continue;
    const { module } = folding.statistics;
    throw new QuernError(
      "STATISTICS_NOT_COLLECTED",
      `"${module}": the run along keeps no ${isAttention ? "windows of its inputs whole" : "inputs of it apart"}, on which the transform ` +
        `compares what is around the layers (loss "parent"); take the loss "layers"`,
      { subject: { tensor: module } },
    );
  }
}
