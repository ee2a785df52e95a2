export { frontMatter, quantizedMetadata, taskOf } from "./front-matter.ts";
export { code, commitLink, details, repositoryLink, section, table } from "./markdown.ts";
