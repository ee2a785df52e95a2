import { type Command, Option } from "commander";
import { positiveArgument } from "./arguments.ts";
import { addHubOptions } from "./hub-options.ts";
import type { RunOptions } from "./run-conversion.ts";
import {
  addManifestOption,
  addMessageOptions,
  addModelOptions,
  addQuantizationOptions,
  addReportOption,
  addResourceOptions,
  RESTART_OPTION,
} from "./shared-options.ts";
import { addSplitOptions } from "./split-options.ts";

/** What commander makes of the options that {@link addQuantizeOptions} declares. */
export interface QuantizeOptions extends RunOptions {
  /** Bytes. */
  readonly maxBufferSize?: number;
}

/**
 * Declares the options of `quern quantize`: those of `llama-quantize`, and our own.
 *
 * @param params.cwd Folder of files with relative names.
 */
export function addQuantizeOptions({ command, cwd }: { command: Command; cwd: string }): Command {
  command
    .option("-f, --force", "replace an output file that exists")
    .option(...RESTART_OPTION)
    .option("-n, --dry-run", "show the whole plan, tensor by tensor, and write nothing");
  addReportOption(command);
  addManifestOption(command).optionsGroup("Split files:");
  addSplitOptions({ command });
  addQuantizationOptions({ command, cwd });
  addModelOptions(command);
  addResourceOptions(command).addOption(
    new Option("--max-buffer-size <MiB>", "the same as --memory, in MiB")
      .argParser((text) => positiveArgument(text) * 2 ** 20)
      .conflicts("memory"),
  );
  addHubOptions(command);
  return addMessageOptions(command);
}
