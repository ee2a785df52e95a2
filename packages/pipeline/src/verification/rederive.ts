import type { ManifestSource } from "@quern/manifest";
import { isGguf } from "@quern/models";
import type { ModelSource } from "../plan.ts";
import { compareSource } from "./compare-source.ts";
import type { Rederivation, RederiveParams } from "./rederivation.ts";
import { rederiveCheckpoint } from "./rederive-checkpoint.ts";
import { rederiveGguf } from "./rederive-gguf.ts";

/**
 * Makes some tensors of a model again from what it was made of, and compares their bytes; headers, too. Weights are read by range, nothing is
 * written, and memory is that of a conversion.
 *
 * What was rounded by inputs wants the same statistics; kernels with and without fused multiply-add may choose other codes there.
 *
 * @throws the reason of the signal; QuernError `MANIFEST_INVALID`, `VERIFICATION_SOURCE`, and the codes of `planConversion`,
 * `planCheckpoint` and running their plans
 */
export async function rederive(params: RederiveParams): Promise<Rederivation> {
  const { recipe, source } = params.manifest;
  const findings = await compareSource(params.manifest, params.source);
  const named = { ...params, source: underItsName(params.source, source) };
  const result =
    recipe.container === "gguf" ? await rederiveGguf(named, recipe) : await rederiveCheckpoint(named, recipe);
  return { ...result, findings: [...findings, ...result.findings] };
}

/** Models that nothing else names are called as their folder or repository, and a copy may lie in a folder of another name. */
function underItsName(source: ModelSource, { name, repository }: ManifestSource): ModelSource {
  if (isGguf(source)) return source;
  return { ...source, files: { ...source.files, name: repository?.split("/").at(-1) ?? name } };
}
