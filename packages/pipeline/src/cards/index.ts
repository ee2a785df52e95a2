export { baseModelMetadata, frontMatter, inheritedMetadata } from "./front-matter.ts";
export { code, repositoryLink, section, table, tableRow } from "./markdown.ts";
