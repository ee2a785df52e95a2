import { Command, CommanderError } from "commander";
import { COMMANDS } from "./commands.ts";
import { describeError, errorRecord, usageRecord } from "./error-report.ts";
import { exitCodeOf, exitCodes } from "./exit-codes.ts";
import { createStyle } from "./format/style.ts";
import { formatItem } from "./help/format-item.ts";
import { addManual, type Manual } from "./help/manual.ts";
import { TOPICS } from "./help/topics.ts";
import { type Host, processHost } from "./host.ts";
import { addLazyCommands } from "./lazy-commands.ts";
import { writeJsonLine } from "./reporters/json.ts";
import { applySettings } from "./settings/apply-settings.ts";
import { hasColors, styleFor } from "./terminal.ts";
import { version } from "./version.ts";

const manual: Manual = {
  examples: [
    {
      does: "A checkpoint to GGUF: <Name>-<size>-Q4_K_M.gguf in the current folder",
      run: "quern convert model",
    },
    { does: "Help on a command", run: "quern help convert" },
    { does: "Help on a topic", run: "quern help exit-codes" },
  ],
};

/**
 * Runs the command line.
 *
 * @param argv arguments without the interpreter and the script
 * @param host where text goes and signals come from; default: this process
 * @returns the exit code, as `quern --help` explains it
 */
export async function main(argv: readonly string[], host: Host = processHost()): Promise<number> {
  const program = createProgram(host);
  try {
    await program.parseAsync(argv, { from: "user" });
    return exitCodes.ok;
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has said already what is wrong; code 0 is --help and --version.
      if (error.exitCode === 0) return exitCodes.ok;
      if (argv.includes("--json")) writeJsonLine(host.stdout, usageRecord(error.message));
      return exitCodes.usage;
    }
    const debug = program.opts<{ debug?: true }>().debug === true || Boolean(host.env["DEBUG"]);
    if (argv.includes("--json")) {
      writeJsonLine(host.stdout, errorRecord(error));
    }
    host.stderr.write(describeError({ error, debug, style: styleFor(host.stderr, host.env) }));
    return exitCodeOf(error);
  }
}

/** All of the command line; commands are loaded as they are named. */
export function createProgram(host: Host): Command {
  const program = new Command("quern")
    .summary("Quantizes language models: Hugging Face checkpoints to GGUF files and quantized checkpoints.")
    .version(version, "-V, --version")
    .option("--debug", "show where an error comes from (or set DEBUG)")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => host.stdout.write(text),
      writeErr: (text) => host.stderr.write(text),
      getOutHelpWidth: () => host.stdout.columns ?? 80,
      getErrHelpWidth: () => host.stderr.columns ?? 80,
      getOutHasColors: () => hasColors(host.stdout, host.env),
      getErrHasColors: () => hasColors(host.stderr, host.env),
      outputError: (text, write) => write(styleFor(host.stderr, host.env).red(text)),
    })
    .configureHelp({ formatItem, minWidthToWrap: 20, styleTitle: createStyle(true).bold })
    .showHelpAfterError("Run with --help to see what there is.");
  addManual(program, manual);
  addLazyCommands({ parent: program, commands: COMMANDS, topics: TOPICS, host });
  program.hook("preAction", async (_, command) => applySettings(command, host));
  return program;
}
