import type { Style } from "./style.ts";

export interface TableColumn {
  readonly title: string;
  /** @default "left" */
  readonly align?: "left" | "right";
}

/**
 * Aligned columns, two spaces apart, under a dim line of titles.
 *
 * @param params.rows one string per column; cells must not contain escape sequences
 * @param params.indent spaces before each line; default 0
 * @returns lines without trailing spaces, each ending in a newline
 */
export function formatTable(params: {
  readonly columns: readonly TableColumn[];
  readonly rows: ReadonlyArray<readonly string[]>;
  readonly style: Style;
  readonly indent?: number;
}): string {
  const { columns, rows, style } = params;
  const widths = columns.map((column, index) =>
    rows.reduce((width, row) => Math.max(width, row[index]!.length), column.title.length),
  );
  const line = (cells: readonly string[]): string =>
    (
      " ".repeat(params.indent ?? 0) +
      cells
        .map((cell, index) =>
          columns[index]!.align === "right" ? cell.padStart(widths[index]!) : cell.padEnd(widths[index]!),
        )
        .join("  ")
    ).trimEnd();
  const titles = columns.map((column) => column.title);
  return [style.dim(line(titles)), ...rows.map(line)].map((text) => `${text}\n`).join("");
}

/** Pairs of a label and a value with the values aligned, one a line. */
export function formatFacts(params: {
  readonly facts: ReadonlyArray<readonly [label: string, value: string]>;
  readonly style: Style;
  readonly indent?: number;
}): string {
  const width = params.facts.reduce((longest, [label]) => Math.max(longest, label.length), 0);
  const indent = " ".repeat(params.indent ?? 0);
  return params.facts
    .map(([label, value]) => `${indent}${params.style.dim(label.padEnd(width))}  ${value}\n`)
    .join("");
}
