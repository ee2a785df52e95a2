export type {
  CheckpointOrigin,
  CheckpointRecipe,
  GgufOptions,
  GgufRecipe,
  JsonObject,
  JsonValue,
  Manifest,
  ManifestCalibration,
  ManifestFile,
  ManifestMember,
  ManifestOrigin,
  ManifestPair,
  ManifestRecipe,
  ManifestSource,
  ManifestSourceFile,
  ManifestTensor,
  ManifestTool,
} from "./manifest.ts";
export { FOLDER_MANIFEST, LARGEST_MANIFEST, manifestName } from "./names.ts";
export { provenancePairs } from "./provenance.ts";
