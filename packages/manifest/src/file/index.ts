export { manifestText, parseManifest } from "./parse-manifest.ts";
export { CHECKPOINT_ORIGIN } from "./schema.ts";
