import type { HubRepository } from "@quern/hub";
import { FOLDER_MANIFEST } from "@quern/manifest";
import { QuernError } from "@quern/tensor";

/** Weights as loaders of checkpoints look for them; adapters lie beside those of a model. */
const WEIGHTS = /^(?!adapter_)[^/]*\.safetensors$|^pytorch_model[^/]*\.bin$/;

/**
 * A checkpoint takes the place of another one that we made, as its manifest tells; weights of anybody else would be replaced, or lie beside
 * the new ones and be loaded instead.
 *
 * @throws QuernError `PUBLISH_REPOSITORY_TAKEN`
 */
export function refuseForeignWeights({ id, files }: HubRepository): void {
  if (files.has(FOLDER_MANIFEST)) return;
  const weights = [...files.keys()].filter((path) => WEIGHTS.test(path));
  if (weights.length === 0) return;
  const more = weights.length === 1 ? "" : ` and ${weights.length - 1} more`;
  throw new QuernError(
    "PUBLISH_REPOSITORY_TAKEN",
    `hf:${id} holds weights that something else has made: ${weights[0]!}${more}.`,
    { subject: { file: `hf:${id}` } },
  );
}
