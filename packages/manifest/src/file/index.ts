export { manifestText, parseManifest } from "./parse-manifest.ts";
