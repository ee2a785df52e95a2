import { Argument, type Command } from "commander";
import { bashCompletions } from "../completions/bash.ts";
import { commandWords, type CommandWords } from "../completions/command-words.ts";
import { fishCompletions } from "../completions/fish.ts";
import { zshCompletions } from "../completions/zsh.ts";
import { addManual } from "../help/manual.ts";
import type { Host } from "../host.ts";
import { loadCommands } from "../lazy-commands.ts";

const SHELLS = { bash: bashCompletions, zsh: zshCompletions, fish: fishCompletions } satisfies Record<
  string,
  (commands: readonly CommandWords[]) => string
>;

export function defineCompletions(command: Command, host: Host): void {
  addManual(command, {
    description: [
      "The script completes commands, options, types, recipes, containers and files. It runs no program while you type, so generate it again after an update.",
    ],
    examples: [
      { does: "bash, for this session", run: "source <(quern completions bash)" },
      {
        does: "bash, permanently",
        run: "quern completions bash > ~/.quern-completions && echo 'source ~/.quern-completions' >> ~/.bashrc",
      },
      { does: "zsh, in a folder of fpath", run: "quern completions zsh > _quern" },
      {
        does: "fish",
        run: "mkdir -p ~/.config/fish/completions && quern completions fish > ~/.config/fish/completions/quern.fish",
      },
    ],
    seeAlso: ["config"],
  });
  command
    .addArgument(new Argument("<shell>", "which shell").choices(Object.keys(SHELLS)))
    .action(async (shell: keyof typeof SHELLS) => {
      const program = command.parent!;
      await loadCommands(program);
      host.stdout.write(SHELLS[shell](commandWords(program)));
    });
}
