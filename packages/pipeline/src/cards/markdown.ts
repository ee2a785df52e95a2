/** A heading of the second level, and text. */
export function section(title: string, text: string): string {
  return `## ${title}\n\n${text}`;
}

/** A fenced block. */
export function code(language: string, text: string): string {
  return `\`\`\`${language}\n${text}\n\`\`\``;
}

/** Text that is shown when it is asked for. */
export function details(summary: string, text: string): string {
  return `<details>\n<summary>${summary}</summary>\n\n${text}\n\n</details>`;
}

/** A table with all its rows. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [tableRow(head), tableRow(head.map(() => "---")), ...rows.map(tableRow)].join("\n");
}

/** A line of a table. */
function tableRow(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

/** A link to a repository of models. */
export function repositoryLink(id: string): string {
  return `[${id}](https://huggingface.co/${id})`;
}

/** A link to a repository of models as it was at a commit. */
export function commitLink(id: string, commit: string): string {
  return `[${id}](https://huggingface.co/${id}/tree/${commit}) at commit \`${commit}\``;
}
