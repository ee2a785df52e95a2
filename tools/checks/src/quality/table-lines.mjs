// The table of tools/checks/src/quality-table.mjs in Markdown, and its place in a page.

const BEGIN = "<!-- quality table -->";
const END = "<!-- end of the quality table -->";

/** Lines of the table: rows that have figures, in their order. */
export function tableLines(rows, figures) {
  const known = rows.filter(({ name }) => name in figures);
  const models = [...new Set(known.flatMap(({ name }) => Object.keys(figures[name].models)))];
  return [
    `| | bits | ${models.map((model) => `${model}: mean KLD | perplexity`).join(" | ")} |`,
    `| --- | ---: |${" ---: | ---: |".repeat(models.length)}`,
    ...known.map(({ name }) => {
      const { models: costs } = figures[name];
      const [{ bits }] = Object.values(costs);
      const cells = models.flatMap((model) => cellsOf(costs[model]));
      return `| ${name} | ${bits.toFixed(2)} | ${cells.join(" | ")} |`;
    }),
  ];
}

function cellsOf(cost) {
  if (cost === undefined) return ["", ""];
  const { divergence, ratio } = cost;
  return [divergence.toFixed(5), `${ratio < 1 ? "" : "+"}${(100 * (ratio - 1)).toFixed(2)} %`];
}

/** A page with the table in place of the one between its marks. */
export function putTable(page, lines) {
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error(`the page has no "${BEGIN}" and "${END}"`);
  return `${before}${BEGIN}\n\n${lines.join("\n")}\n\n${END}${after}`;
}
