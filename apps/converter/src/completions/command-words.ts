import type { Command, Option } from "commander";
import { TOPICS } from "../help/topics.ts";
import { defaultCommandOf } from "../lazy-commands.ts";
import { type Suggestions, suggestionsFor } from "./suggestions.ts";

/** What can be typed behind a command. */
export interface CommandWords {
  /** Empty for the program itself; "imatrix show" for a command below another one. */
  readonly name: string;
  readonly summary: string;
  readonly options: readonly OptionWords[];
  readonly argument: Suggestions;
  /** Commands below it, with their summaries. */
  readonly commands: ReadonlyArray<readonly [name: string, summary: string]>;
}

export interface OptionWords {
  /** "-t", "--type" */
  readonly flags: readonly string[];
  /** In a few words. */
  readonly description: string;
  /** Absent where no value follows. */
  readonly value?: Suggestions;
  readonly repeatable: boolean;
}

/** All commands of a program that has been loaded, itself first. */
export function commandWords(command: Command, path: readonly string[] = []): CommandWords[] {
  const visible = command.createHelp().visibleCommands(command);
  const usual = defaultCommandOf(command);
  const own: CommandWords = {
    name: path.join(" "),
    summary: command.summary(),
    options: [...optionsOf(command), ...(usual === undefined ? [] : optionsOf(usual))],
    argument: argumentOf(usual ?? command, visible),
    commands: visible.map((child) => [child.name(), firstWords(child.summary() || child.description())]),
  };
  return [own, ...visible.flatMap((child) => commandWords(child, [...path, child.name()]))];
}

function argumentOf(command: Command, children: readonly Command[]): Suggestions {
  if (command.name() === "help") {
    const siblings = command.parent!.commands.map((sibling) => sibling.name());
    const topics = command.parent!.parent === null ? TOPICS.map(({ name }) => name) : [];
    return { values: [...siblings.filter((name) => name !== "help"), ...topics] };
  }
  const all = command.registeredArguments.map((argument) => suggestionsFor(argument, argument.name()));
  const values = [...children.map((child) => child.name()), ...all.flatMap(({ values: some = [] }) => some)];
  return { values, files: all.some(({ files }) => files === true) };
}

function optionsOf(command: Command): OptionWords[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .map((option) => ({
      flags: flagsOf(option),
      description: firstWords(option.description),
      repeatable: option.variadic || /repeatable/.test(option.description),
      ...(option.required || option.optional ? { value: suggestionsFor(option, option.flags) } : {}),
    }));
}

function flagsOf({ flags }: Option): string[] {
  return flags.split(/[ ,|]+/).filter((word) => word.startsWith("-"));
}

/** Menus of shells have room for a line. */
function firstWords(text: string): string {
  const [first = ""] = text.split(/[:;(]|, /);
  return first.trim().replace(/\.$/, "");
}
