import { createRequire } from "node:module";

const packageJson = createRequire(import.meta.url)("../package.json") as { readonly version: string };

export const version: string = packageJson.version;

/** What files that are made say they were made by. */
export const tool: string = `quern ${version}`;
