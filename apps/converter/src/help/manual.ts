import type { Command } from "commander";
import type { ExitCode } from "../exit-codes.ts";
import { ENVIRONMENT, type EnvironmentVariable } from "./environment.ts";
import { helpOf, terms } from "./terms.ts";
import { TOPICS } from "./topics.ts";

/** What `--help` says of a command beside its arguments and options. */
export interface Manual {
  /** Paragraphs behind the sentence that lists show. */
  readonly description?: readonly string[];
  /** At least one; tests run them all, in the order of the list. */
  readonly examples: readonly Example[];
  readonly environment?: readonly EnvironmentVariable[];
  /** Meanings that are more exact than the usual ones, which `quern help exit-codes` explains. */
  readonly exitCodes?: Partial<Record<ExitCode, string>>;
  /** Names of other commands. */
  readonly seeAlso?: readonly string[];
}

/** A command line as users type it, in a folder that has what the README of `src/testing/examples` lists. */
interface Example {
  /** "Two files in one pass over the weights" */
  readonly does: string;
  readonly run: string;
}

const manuals = new WeakMap<Command, Manual>();

/** Says more of a command. To be called once, where its arguments and options are declared. */
export function addManual(command: Command, manual: Manual): Command {
  manuals.set(command, manual);
  const paragraphs = [command.summary(), ...(manual.description ?? [])];
  return command
    .description(paragraphs.join("\n\n"))
    .addHelpText("after", ({ command: shown }) => sections(shown, manual));
}

/** The manual of a command that has been loaded. */
export function manualOf(command: Command): Manual | undefined {
  return manuals.get(command);
}

/** What comes behind the options. */
function sections(command: Command, manual: Manual): string {
  const help = helpOf(command);
  const { environment = [], exitCodes = {}, seeAlso = [] } = manual;
  const isProgram = command.parent === null;
  const others = [...seeAlso, "help exit-codes"].map((name) => `quern ${name}`).join(", ");
  const blocks = [
    ["Help topics:", isProgram ? terms(TOPICS.map(topicTerm), help) : []],
    ["Examples:", manual.examples.flatMap(({ does, run }) => [`  # ${does}`, `  ${run}`])],
    ["Exit codes:", terms(Object.entries(exitCodes), help)],
    ["Environment:", terms(environment.map(variableTerm), help)],
    [
      "See also:",
      isProgram ? [] : [`  ${help.boxWrap(others, (help.helpWidth ?? 80) - 2).replaceAll("\n", "\n  ")}`],
    ],
  ] as const;
  return blocks
    .filter(([, lines]) => lines.length > 0)
    .map(([title, lines]) => `\n${help.styleTitle(title)}\n${lines.join("\n")}\n`)
    .join("")
    .trimEnd();
}

function topicTerm({ name, summary }: (typeof TOPICS)[number]): [string, string] {
  return [`help ${name}`, summary];
}

function variableTerm(name: EnvironmentVariable): [string, string] {
  return [name, ENVIRONMENT[name]];
}
