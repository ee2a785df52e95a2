export { openDefaultText } from "./open-default-text.ts";
export { openTextFiles } from "./open-text-files.ts";
export type { OpenTextFiles } from "./open-text-files.ts";
