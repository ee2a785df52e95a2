export { CONTAINERS } from "../containers.ts";
export { PRESETS } from "./registry.ts";
