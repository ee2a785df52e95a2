import { type RunParts, sha256Of } from "@quern/tensor/node";
import { digestOf } from "../journal/digest.ts";
import { sourceIdentity } from "../journal/source-identity.ts";
import type { CheckpointPlan } from "./plan.ts";

/**
 * What decides the bytes of a checkpoint that is written.
 *
 * @returns undefined where that is not known of the source of inputs: nothing can go on with such a run
 * @throws QuernError the codes of `InputSource.identity`
 */
export async function checkpointIdentity(
  plan: Omit<CheckpointPlan, "identity" | "networkBytesLeft">,
): Promise<RunParts | undefined> {
  const { model, recipe, checkpoint, inputs, kernels, tool, recipeName, baseModel } = plan;
  if (inputs !== undefined && inputs.identity === undefined) return undefined;
  const { decisions, transforms } = recipe;
  const headers = checkpoint.shards.shards.map(({ fileName, layout: { header } }) => [
    fileName,
    sha256Of(header),
  ]);
  // Sums of products are those of the kernels.
  const sums = inputs !== undefined || transforms.length > 0 ? `${kernels.backend} ${kernels.isa}` : "";
  const source = await sourceIdentity(model.checkpoint);
  const digest = digestOf([source, model.config]);
  return {
    tool,
    // The name of a commit lets people go on with that one.
    source: source.repository === undefined ? digest : `${source.repository} ${digest}`,
    recipe: digestOf([recipeName, baseModel ?? null, decisions, transforms, headers]),
    statistics: digestOf((await inputs?.identity?.()) ?? null),
    kernels: sums,
  };
}
