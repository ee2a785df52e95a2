import type { Command, Help } from "commander";
import { EXIT_CODE_MEANINGS, type ExitCode } from "../exit-codes.ts";
import { ENVIRONMENT, type EnvironmentVariable } from "./environment.ts";

/** What `--help` says of a command beside its arguments and options. */
export interface Manual {
  /** Paragraphs behind the sentence that lists show. */
  readonly description?: readonly string[];
  /** At least one; tests run them all, in the order of the list. */
  readonly examples: readonly Example[];
  readonly environment?: readonly EnvironmentVariable[];
  /** Meanings that are more exact than the usual ones. */
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
  const codes = Object.entries({ ...EXIT_CODE_MEANINGS, ...exitCodes });
  const blocks = [
    ["Examples:", manual.examples.flatMap(({ does, run }) => [`  # ${does}`, `  ${run}`])],
    ["Exit codes:", terms(codes, help)],
    [
      "Environment:",
      terms(
        environment.map((name) => [name, ENVIRONMENT[name]] as const),
        help,
      ),
    ],
    ["See also:", seeAlso.length === 0 ? [] : [`  ${seeAlso.map((name) => `quern ${name}`).join(", ")}`]],
  ] as const;
  return blocks
    .filter(([, lines]) => lines.length > 0)
    .map(([title, lines]) => `\n${help.styleTitle(title)}\n${lines.join("\n")}\n`)
    .join("")
    .trimEnd();
}

/** Names and what they mean, wrapped to the width of the terminal. */
function terms(entries: readonly (readonly [string, string])[], help: Help): string[] {
  const width = entries.reduce((longest, [name]) => Math.max(longest, name.length), 0);
  return entries.map(([name, meaning]) => help.formatItem(name, width, meaning, help));
}

function helpOf(command: Command): Help {
  const help = command.createHelp();
  const { getOutHelpWidth } = command.configureOutput();
  help.prepareContext({ helpWidth: getOutHelpWidth!() ?? 80 });
  return help;
}
