export { frontMatter, quantizedMetadata, taskOf } from "./front-matter.ts";
export { code, details, repositoryLink, section, table, tableRow } from "./markdown.ts";
