import { createHash } from "node:crypto";
import { ggufString } from "@quern/gguf";
import { type ManifestOrigin, provenancePairs } from "@quern/manifest";
import type { OutputRequest } from "../recipe.ts";

/** The origin of files in pairs of text; see `provenancePairs`. */
export function originPairs(origin: ManifestOrigin): ReadonlyMap<string, string> {
  return provenancePairs(origin, (text) => createHash("sha256").update(text).digest("hex"));
}

/** The same request, with its origin in the metadata. */
export function withProvenance(request: OutputRequest, origin: ManifestOrigin): OutputRequest {
  const metadata = new Map(request.metadata);
  for (const [key, value] of originPairs(origin)) metadata.set(key, ggufString(value));
  return { ...request, metadata };
}
