import type { Command } from "commander";
import { helpOf } from "./help/terms.ts";
import { formatTopic, type Topic } from "./help/topics.ts";
import type { Host } from "./host.ts";
import { closest } from "./suggestion.ts";

/** Declares arguments and options of a command, its manual, and what it does. */
type DefineCommand = (command: Command, host: Host) => void;

/** A command that is loaded once it is named: what it imports costs the others neither time nor memory. */
export interface LazyCommand {
  readonly name: string;
  /** What lists say of it. */
  readonly description: string;
  /** Whether it is meant where no other command is named. */
  readonly isDefault?: true;
  readonly load: () => Promise<DefineCommand>;
}

/** What declares commands that have not been loaded. */
const loaders = new WeakMap<Command, () => Promise<void>>();

/** What is meant where no command below one is named. */
const defaults = new WeakMap<Command, Command>();

export function defaultCommandOf(parent: Command): Command | undefined {
  return defaults.get(parent);
}

/**
 * Adds commands that are loaded when they are run or asked for help, and the command `help` that asks.
 *
 * @param params.topics What else it explains.
 */
export function addLazyCommands(params: {
  readonly parent: Command;
  readonly commands: readonly LazyCommand[];
  readonly topics?: readonly Topic[];
  readonly host: Host;
}): void {
  const { parent, commands, topics = [], host } = params;
  for (const { name, description, isDefault = false, load } of commands) {
    const command = parent.command(name, { isDefault }).summary(description).description(description);
    if (isDefault) defaults.set(parent, command);
    loaders.set(command, async () => (await load())(command, host));
  }
  parent.hook("preSubcommand", async (_, command) => loadCommand(command));
  // The help command that comes with commander does not load what it shows.
  parent
    .helpCommand(false)
    .command("help [command...]")
    .description("display help for command")
    .helpOption(false)
    .action(async (names: readonly string[]) => {
      const [name] = names;
      const topic = topics.find((one) => one.name === name);
      if (topic !== undefined) {
        host.stdout.write(formatTopic(topic, helpOf(parent)));
        return;
      }
      if (name !== undefined && !commands.some((command) => command.name === name)) {
        const meant = closest(
          name,
          [...commands, ...topics].map((one) => one.name),
        );
        parent.error(
          `error: there is no help for '${name}'${meant === undefined ? "" : `\n(Did you mean ${meant}?)`}`,
        );
      }
      await parent.parseAsync([...names, "--help"], { from: "user" });
    });
}

/** Loads all commands, and those below them: for whoever wants to know every option. */
export async function loadCommands(parent: Command): Promise<void> {
  for (const command of parent.commands) {
    await loadCommand(command);
    await loadCommands(command);
  }
}

async function loadCommand(command: Command): Promise<void> {
  const load = loaders.get(command);
  loaders.delete(command);
  await load?.();
}
