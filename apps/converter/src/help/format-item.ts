import type { Help } from "commander";

/** Narrower than this, descriptions are hard to read beside their terms. */
const READABLE = 40;
const INDENT = 8;

/** A term and its description side by side, or one below the other where the terminal is narrow. */
export function formatItem(term: string, termWidth: number, description: string, help: Help): string {
  const width = help.helpWidth ?? 80;
  const left = termWidth + 4;
  const beside = width - left >= READABLE;
  const indent = beside ? left : INDENT;
  const text = help.boxWrap(description, Math.max(width - indent, READABLE / 2));
  const lines = text.replaceAll("\n", `\n${" ".repeat(indent)}`);
  if (description === "") return `  ${term}`;
  return beside ? `  ${term.padEnd(termWidth)}  ${lines}` : `  ${term}\n${" ".repeat(indent)}${lines}`;
}
