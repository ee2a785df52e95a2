export { frontMatter, quantizedMetadata, taskOf } from "./front-matter.ts";
export { code, details, repositoryLink, section, table } from "./markdown.ts";
