import { table } from "@quern/pipeline/cards";
import { UNKNOWN } from "./figures-text.ts";

/** What the table of files has of each type. */
const COLUMNS = [
  "File",
  "Type",
  "Size",
  "Bits per weight",
  "KL divergence",
  "Same top token",
  "Perplexity",
  "Weight error",
  "Good for",
] as const;

type Column = (typeof COLUMNS)[number];

/** Left out where nothing was measured of any type. */
const MEASURED: ReadonlySet<string> = new Set<Column>([
  "KL divergence",
  "Same top token",
  "Perplexity",
  "Weight error",
]);

/** Texts of a row. What is not known, or not given, is `UNKNOWN`. */
export type FileRow = Readonly<Partial<Record<Column, string>>>;

/** A table of files, those with most bits first. */
export function fileTable(rows: readonly FileRow[]): string {
  const columns = COLUMNS.filter((column) => !MEASURED.has(column) || hasFigures(rows, column));
  const bits = (row: FileRow): number => Number(row["Bits per weight"]);
  const sorted = [...rows].sort((one, other) => bits(other) - bits(one));
  return table(
    columns,
    sorted.map((row) => columns.map((column) => row[column] ?? UNKNOWN)),
  );
}

/** Whether anything is known of a column. */
export function hasFigures(rows: readonly FileRow[], column: Column): boolean {
  return rows.some((row) => (row[column] ?? UNKNOWN) !== UNKNOWN);
}

/** Rows of a table that {@link fileTable} has made, whatever columns it has, by the path of the first file. */
export function fileRows(text: string): { readonly file: string; readonly row: FileRow }[] {
  const lines = text.split(/\r?\n/).map(cellsOf);
  const head = lines.findIndex((cells) => isHead(cells));
  if (head < 0) return [];
  const columns = lines[head]!;
  const end = lines.findIndex((cells, index) => index > head && cells.length !== columns.length);
  return lines.slice(head + 1, end < 0 ? lines.length : end).flatMap((cells) => {
    const file = /^\[[^\]]+\]\(\.\/([^)]+)\)/.exec(cells[0]!)?.[1];
    const row = Object.fromEntries(columns.map((column, index) => [column, cells[index]!]));
    return file === undefined ? [] : [{ file, row }];
  });
}

function cellsOf(line: string): string[] {
  return line.startsWith("| ") && line.endsWith(" |") ? line.slice(2, -2).split(" | ") : [];
}

function isHead(cells: readonly string[]): boolean {
  const columns = new Set<string>(cells);
  const isOurs = cells.every((cell) => COLUMNS.some((column) => column === cell));
  return isOurs && COLUMNS.every((column) => MEASURED.has(column) || columns.has(column));
}
