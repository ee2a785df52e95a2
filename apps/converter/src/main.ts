import { Command, CommanderError } from "commander";
import { COMMANDS } from "./commands.ts";
import { describeError, errorRecord } from "./error-report.ts";
import { exitCodeOf, exitCodes } from "./exit-codes.ts";
import { type Host, processHost } from "./host.ts";
import { addLazyCommands } from "./lazy-commands.ts";
import { writeJsonLine } from "./reporters/json.ts";
import { styleFor } from "./terminal.ts";
import { version } from "./version.ts";

const exitCodesHelp = `
Exit codes:
  0    done
  1    unexpected failure
  2    wrong usage: unknown option, missing argument, impossible combination
  3    bad input: checkpoint, model, tokenizer, text, imatrix or GGUF file
  4    output problem: file exists, folder not writable, disk full
  130  interrupted; unfinished output files are removed, but for those that can be gone on with`;

/**
 * Runs the command line.
 *
 * @param argv arguments without the interpreter and the script
 * @param host where text goes and signals come from; default: this process
 * @returns the exit code, see {@link exitCodes}
 */
export async function main(argv: readonly string[], host: Host = processHost()): Promise<number> {
  const program = createProgram(host);
  try {
    await program.parseAsync(argv, { from: "user" });
    return exitCodes.ok;
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has said already what is wrong; code 0 is --help and --version.
      return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    }
    const debug = program.opts<{ debug?: true }>().debug === true || Boolean(host.env["DEBUG"]);
    if (argv.includes("--json")) {
      writeJsonLine(host.stdout, errorRecord(error));
    }
    host.stderr.write(describeError({ error, debug, style: styleFor(host.stderr, host.env) }));
    return exitCodeOf(error);
  }
}

function createProgram(host: Host): Command {
  const program = new Command("quern")
    .description("Grinds language models down: Hugging Face checkpoints to quantized GGUF files.")
    .version(version, "-V, --version")
    .option("--debug", "show where an error comes from (or set DEBUG)")
    .addHelpText("after", exitCodesHelp)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => host.stdout.write(text),
      writeErr: (text) => host.stderr.write(text),
      getOutHelpWidth: () => host.stdout.columns ?? 80,
      getErrHelpWidth: () => host.stderr.columns ?? 80,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      outputError: (text, write) => write(styleFor(host.stderr, host.env).red(text)),
    })
    .showHelpAfterError("Run with --help to see what there is.");
  addLazyCommands({ parent: program, commands: COMMANDS, host });
  return program;
}
