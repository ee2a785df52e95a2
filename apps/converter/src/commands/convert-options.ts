import type { Flavour, OutputRequest } from "@quern/pipeline";
import { QuernError } from "@quern/tensor";
import { type Command, Option } from "commander";
import { suggest } from "../completions/suggestions.ts";
import { OUTPUT_TYPES, typesArgument } from "./arguments.ts";
import { outputTarget } from "./output-target.ts";
import {
  addMessageOptions,
  addModelOptions,
  addQuantizationOptions,
  addManifestOption,
  addReportOption,
  addResourceOptions,
  requestedQuantization,
  RESTART_OPTION,
} from "./shared-options.ts";
import { addCheckpointOptions, type CheckpointOptions } from "./checkpoint-options.ts";
import type { RunOptions } from "./run-conversion.ts";
import { addHubOptions } from "./hub-options.ts";
import { addSplitOptions } from "./split-options.ts";

/** What commander makes of the options that {@link addConvertOptions} declares. */
export interface ConvertOptions extends RunOptions, CheckpointOptions {
  readonly type?: readonly string[];
  readonly output?: string;
  readonly flavour?: Flavour;
}

/** The type of which most people speak when they say "quantized": a third of the size, hardly worse. */
const defaultType = "Q4_K_M";

/** Declares the options that `quern convert` and `quern plan` have in common. @param params.cwd Folder of files with relative names. */
export function addConvertOptions({ command, cwd }: { command: Command; cwd: string }): Command {
  command
    .addOption(
      suggest(
        new Option(
          "-t, --type <types>",
          `types to write, comma-separated, all in one pass over the weights (default: ${defaultType})`,
        ).argParser(typesArgument),
        { values: OUTPUT_TYPES, list: true },
      ),
    )
    .option(
      "-o, --output <path>",
      "file to write (for a single type), or a folder: an existing one, or a path ending in / (default: <Name>-<size>-<TYPE>.gguf in the current folder); for --to and --recipe, the folder to create (default: <name>-<recipe>)",
    )
    .option("-f, --force", "replace existing output files")
    .option(...RESTART_OPTION);
  addReportOption(command);
  addManifestOption(command);
  addCheckpointOptions(command).optionsGroup("Split files:");
  addSplitOptions({ command });
  addQuantizationOptions({ command, cwd }).addOption(
    new Option(
      "--flavour <flavour>",
      "which program's file to reproduce byte for byte: convert_hf_to_gguf.py --outtype (converter) or llama-quantize (quantizer)",
    ).choices(["converter", "quantizer"]),
  );
  addModelOptions(command);
  addResourceOptions(command);
  addHubOptions(command);
  return addMessageOptions(command);
}

/** Turns options into what the pipeline is asked for. */
export function outputRequests(
  options: ConvertOptions,
  cwd: string,
): { outputs: OutputRequest[]; directory: string } {
  const types = options.type ?? [defaultType];
  const target = outputTarget(options.output, cwd);
  if (target.file !== undefined && types.length > 1) {
    throw new QuernError(
      "USAGE_OUTPUT",
      `--output names one file, but ${types.length} types are to be written (${types.join(", ")}): name a folder that exists, or end it in "/".`,
    );
  }
  const outputs = types.map((type): OutputRequest => ({
    type,
    ...(target.file === undefined ? {} : { path: target.file }),
    ...(options.flavour === undefined ? {} : { flavour: options.flavour }),
    ...requestedQuantization(options),
  }));
  return { outputs, directory: target.directory };
}
