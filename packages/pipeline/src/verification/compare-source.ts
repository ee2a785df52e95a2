import type { Manifest } from "@quern/manifest";
import type { ModelSource } from "../plan.ts";
import { describeManifestSource } from "../provenance/describe-source.ts";
import type { Finding } from "./finding.ts";

/** Compares a source with the one that a manifest names, as far as can be said without reading weights. */
export async function compareSource(manifest: Manifest, source: ModelSource): Promise<Finding[]> {
  const found = new Map((await describeManifestSource(source)).files.map((file) => [file.name, file]));
  return manifest.source.files.flatMap((expected): Finding[] => {
    const { name } = expected;
    const differs = (message: string): Finding[] => [{ kind: "source", file: name, message }];
    const file = found.get(name);
    // Small files that are missing show in what the source becomes, if they matter.
    if (file === undefined) {
      return expected.headerSha256 === undefined ? [] : differs("is not in the source: expected it");
    }
    if (file.bytes !== expected.bytes) return differs(`has ${file.bytes} bytes: expected ${expected.bytes}`);
    const keys = ["sha256", "headerSha256", "gitHash"] as const;
    const key = keys.find((one) => file[one] !== undefined && expected[one] !== undefined);
    if (key === undefined || file[key] === expected[key]) return [];
    return differs(`is another file than it was: ${key} ${file[key]}, expected ${expected[key]}`);
  });
}
