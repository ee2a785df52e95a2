import { readFileSync } from "node:fs";
import { repositoryPath } from "../run-cli.ts";

/** A fenced block of code. */
export interface MarkdownBlock {
  /** Relative to the repository. */
  readonly file: string;
  /** Number of the first line of code, from 1. */
  readonly line: number;
  /** "sh"; empty where the fence names none. */
  readonly language: string;
  readonly lines: readonly string[];
}

/** The blocks of code of a file. @param file relative to the repository */
export function markdownBlocks(file: string): MarkdownBlock[] {
  const blocks: MarkdownBlock[] = [];
  let open: { line: number; language: string; lines: string[] } | undefined;
  for (const [index, text] of readFileSync(repositoryPath(file), "utf8").split("\n").entries()) {
    const fence = /^\s*```(.*)$/.exec(text);
    if (fence === null) open?.lines.push(text);
    else if (open === undefined) open = { line: index + 2, language: fence[1]!.trim(), lines: [] };
    else {
      blocks.push({ file, ...open });
      open = undefined;
    }
  }
  return blocks;
}
