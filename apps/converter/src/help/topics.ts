import type { Help } from "commander";
import { EXIT_CODE_MEANINGS } from "../exit-codes.ts";
import { ENVIRONMENT } from "./environment.ts";
import { terms } from "./terms.ts";

/** What `quern help` explains beside commands. */
export interface Topic {
  readonly name: string;
  /** What lists say of it. */
  readonly summary: string;
  /** What holds for all of it, in a paragraph. */
  readonly text: string;
  readonly entries: ReadonlyArray<readonly [name: string, meaning: string]>;
}

export const TOPICS: readonly Topic[] = [
  {
    name: "exit-codes",
    summary: "What exit codes mean.",
    text: "Every command ends with one of these. They are stable: scripts can rely on them. With --json, the last line says the code, too, and the code of the error.",
    entries: Object.entries(EXIT_CODE_MEANINGS),
  },
  {
    name: "environment",
    summary: "Environment variables that commands look at.",
    text: "CI, DEBUG and those about colours concern all commands; the help of a command lists the others that it looks at. Options on the command line take precedence over them, and they over files of settings (see quern config).",
    entries: Object.entries(ENVIRONMENT),
  },
];

export function formatTopic({ summary, text, entries }: Topic, help: Help): string {
  const paragraphs = [summary, text].map((words) => help.boxWrap(words, help.helpWidth ?? 80));
  return `${paragraphs.join("\n\n")}\n\n${terms(entries, help).join("\n")}\n`;
}
