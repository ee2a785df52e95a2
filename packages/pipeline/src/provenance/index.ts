export { describeManifestSource } from "./describe-source.ts";
export { withProvenance } from "./provenance-metadata.ts";
export { outputManifest, writeManifests } from "./write-manifests.ts";
export type { FileProgressEvent, WriteManifestsParams } from "./write-manifests.ts";
