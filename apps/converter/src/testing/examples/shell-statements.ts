import type { MarkdownBlock } from "./markdown-blocks.ts";

/** One command line of a block, with those that continue it. */
export interface ShellStatement {
  /** "docs/guide-convert.md:12" */
  readonly place: string;
  readonly text: string;
  /** The program that it starts. */
  readonly program: string;
}

/** What examples may start besides quern, and tests run. */
const OWN: ReadonlySet<string> = new Set(["quern", "source", "cat", "echo", "mkdir", "cp", "node"]);

/** What nobody has to have: examples show what comes after quern, tests leave it out. */
const FOREIGN: ReadonlySet<string> = new Set([
  "llama-cli",
  "llama-quantize",
  "llama-perplexity",
  "ollama",
  "vllm",
  "npm",
  "npx",
  "bash",
  "export",
]);

/**
 * The command lines of a block of shell.
 *
 * @throws Error for a program that is in neither list: nothing is left out by accident
 */
export function shellStatements({ file, line, lines }: MarkdownBlock): ShellStatement[] {
  const statements: ShellStatement[] = [];
  let text = "";
  let first = line;
  for (const [index, part] of lines.entries()) {
    if (text === "") first = line + index;
    text += part;
    if (text.endsWith("\\")) {
      text = `${text.slice(0, -1)} `;
      continue;
    }
    const [program] = text.replace(/^\s*(\w+=\S* +)*/, "").split(/\s+/);
    if (program !== undefined && program !== "" && !program.startsWith("#")) {
      const place = `${file}:${first}`;
      if (!OWN.has(program) && !FOREIGN.has(program)) {
        throw new Error(`${place}: shell-statements.ts lists no program "${program}"`);
      }
      statements.push({ place, text, program });
    }
    text = "";
  }
  return statements;
}

/** Whether tests run a statement. */
export function runsInTests({ program }: ShellStatement): boolean {
  return OWN.has(program);
}
