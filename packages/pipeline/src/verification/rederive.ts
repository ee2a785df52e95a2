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
  const { recipe } = params.manifest;
  const findings = await compareSource(params.manifest, params.source);
  const result =
    recipe.container === "gguf"
      ? await rederiveGguf(params, recipe)
      : await rederiveCheckpoint(params, recipe);
  return { ...result, findings: [...findings, ...result.findings] };
}
