import type { Command, Help } from "commander";

/** Names and what they mean, wrapped to the width of the terminal. */
export function terms(entries: readonly (readonly [string, string])[], help: Help): string[] {
  const width = entries.reduce((longest, [name]) => Math.max(longest, name.length), 0);
  return entries.map(([name, meaning]) => help.formatItem(name, width, meaning, help));
}

/** What formats the help of a command, for the terminal that it is shown on. */
export function helpOf(command: Command): Help {
  const help = command.createHelp();
  const { getOutHelpWidth } = command.configureOutput();
  help.prepareContext({ helpWidth: getOutHelpWidth!() ?? 80 });
  return help;
}
