import type { Command } from "commander";
import type { Host } from "./host.ts";

/** Declares arguments and options of a command, and what it does. */
type DefineCommand = (command: Command, host: Host) => void;

/** A command that is loaded once it is named: what it imports costs the others neither time nor memory. */
export interface LazyCommand {
  readonly name: string;
  /** What `--help` says of it. */
  readonly description: string;
  /** Whether it is meant where no other command is named. */
  readonly isDefault?: true;
  readonly load: () => Promise<DefineCommand>;
}

/** Adds commands that are loaded when they are run or asked for help. */
export function addLazyCommands(params: {
  readonly parent: Command;
  readonly commands: readonly LazyCommand[];
  readonly host: Host;
}): void {
  const { parent, commands, host } = params;
  const loads = new Map(
    commands.map(({ name, description, isDefault = false, load }) => [
      parent.command(name, { isDefault }).description(description),
      load,
    ]),
  );
  parent.hook("preSubcommand", async (_, command) => {
    const define = await loads.get(command)?.();
    define?.(command, host);
  });
  // The help command that comes with commander does not load what it shows.
  parent
    .helpCommand(false)
    .command("help [command]")
    .description("display help for command")
    .helpOption(false)
    .action(async (name: string | undefined) => {
      if (name !== undefined && !parent.commands.some((command) => command.name() === name)) {
        parent.help({ error: true });
      }
      await parent.parseAsync(name === undefined ? ["--help"] : [name, "--help"], { from: "user" });
    });
}
