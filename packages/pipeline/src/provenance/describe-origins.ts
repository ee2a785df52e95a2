import type { CheckpointOrigin, ManifestOrigin } from "@quern/manifest";
import type { CheckpointProvenance, PlanCheckpointParams } from "../layers/plan.ts";
import type { PlanParams, ProvenanceRequest } from "../plan.ts";
import { resolveRequest } from "../planning/plan-file.ts";
import { roundingName } from "../planning/rounding-name.ts";
import { describeManifestSource } from "./describe-source.ts";
import { ggufRecipe } from "./gguf-recipe.ts";

/** What manifests say of the origin of each output of a conversion. @throws as `planConversion` */
export async function describeOrigins(
  params: PlanParams & { readonly provenance: ProvenanceRequest },
): Promise<ManifestOrigin[]> {
  const { checkpoint, outputs, provenance, rounding, preTokenizer } = params;
  const { tool, calibration } = provenance;
  const source = provenance.source ?? (await describeManifestSource(checkpoint));
  return outputs.map((request) => {
    const name = rounding && roundingName(rounding);
    const resolved = resolveRequest({ request, source: checkpoint, ...(name && { rounding: name }) });
    const { recipe, flavour } = resolved;
    return {
      tool,
      source,
      recipe: ggufRecipe({ request, type: recipe.name, flavour, preTokenizer, rounding }),
      ...(calibration && { calibration }),
    };
  });
}

/** What the manifest of a folder says of its origin. @throws QuernError `SOURCE_*` */
export async function describeCheckpointOrigin(
  { model, maxShardSize }: Pick<PlanCheckpointParams, "model" | "maxShardSize">,
  { tool, recipe, calibration, source }: CheckpointProvenance,
): Promise<CheckpointOrigin> {
  return {
    tool,
    source: source ?? (await describeManifestSource(model.checkpoint)),
    recipe: { container: "safetensors", recipe, ...(maxShardSize === undefined ? {} : { maxShardSize }) },
    ...(calibration && { calibration }),
  };
}
