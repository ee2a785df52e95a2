import { ggufString } from "@quern/gguf";
import { type ManifestOrigin, provenancePairs } from "@quern/manifest";
import { sha256Of } from "@quern/tensor/node";
import type { OutputRequest } from "../recipe.ts";

/** The origin of files in pairs of text; see `provenancePairs`. */
export function originPairs(origin: ManifestOrigin): ReadonlyMap<string, string> {
  return provenancePairs(origin, sha256Of);
}

/** The same request, with its origin in the metadata. */
export function withProvenance(request: OutputRequest, origin: ManifestOrigin): OutputRequest {
  const metadata = new Map(request.metadata);
  for (const [key, value] of originPairs(origin)) metadata.set(key, ggufString(value));
  return { ...request, metadata };
}
