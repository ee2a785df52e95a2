import { rm } from "node:fs/promises";
import { resolve } from "node:path";
import type { WeightedFile } from "@quern/corpus";
import {
  type ImportanceFormat,
  openStatistics,
  statisticsAsImportance,
  writeImportance,
} from "@quern/statistics";
import { QuernError } from "@quern/tensor";
import { checkOutputPlaces } from "@quern/tensor/node";
import { type Command, Option } from "commander";
import { HUB_VARIABLES, KERNEL_VARIABLES } from "../help/environment.ts";
import { addManual } from "../help/manual.ts";
import type { Host } from "../host.ts";
import { closest } from "../suggestion.ts";
import { positiveArgument } from "./arguments.ts";
import { CALIBRATION_MEMORY } from "./calibrate.ts";
import { dataArgument } from "./data-argument.ts";
import { runCalibration } from "./run-calibration.ts";
import { addHubOptions, type HubOptions } from "./hub-options.ts";
import type { MessageOptions } from "./run-reported.ts";
import { addMessageOptions, addResourceOptions, type ResourceOptions } from "./shared-options.ts";
import { MODEL_ARGUMENT } from "./open-named.ts";

/** What commander makes of the options of `quern imatrix <model>`. */
interface ComputeOptions extends ResourceOptions, HubOptions, MessageOptions {
  readonly data?: readonly WeightedFile[];
  readonly output: string;
  readonly format?: ImportanceFormat;
  readonly chunks?: number;
  readonly ctxSize: number;
  readonly processOutput?: true;
  readonly force?: true;
  readonly dryRun?: true;
}

/** `quern imatrix <model>`: what the command does when no other subcommand is named. */
export function defineImatrixCompute(command: Command, host: Host): void {
  addManual(command, {
    description: [
      "Text is split into chunks as llama-imatrix does, and tokenized with the vocabulary of the GGUF file that the model is or becomes.",
    ],
    examples: [
      {
        does: "On four chunks of a text",
        run: "quern imatrix model -f texts.txt -c 128 --chunks 4 -o mine.gguf",
      },
    ],
    environment: [...HUB_VARIABLES, ...KERNEL_VARIABLES],
    seeAlso: ["imatrix show", "imatrix merge", "quantize"],
  });
  command
    .argument("<model>", MODEL_ARGUMENT)
    // A mistyped subcommand has more arguments than a model has: better said in other words.
    .allowExcessArguments()
    .option(
      "-f, --data <file[:weight]>",
      "text to run the model on; repeatable (default: a bundled mixture)",
      dataArgument,
    )
    .option("-o, --output <file>", "file to write", "imatrix.gguf")
    .addOption(
      new Option(
        "--format <format>",
        "gguf or dat, the older format (default: dat for names that end in .dat)",
      ).choices(["gguf", "dat"]),
    )
    .option("--chunks <count>", "chunks of text to take (default: all)", positiveArgument)
    .option("-c, --ctx-size <tokens>", "tokens of a chunk", positiveArgument, 512)
    .option("--process-output", "also what the output layer reads")
    .option("--force", "replace a file that exists")
    .option("-n, --dry-run", "show the plan, and run nothing");
  addMessageOptions(addHubOptions(addResourceOptions(command, CALIBRATION_MEMORY))).action(
    async (model: string, options: ComputeOptions) => {
      checkArguments(command);
      const { output, ctxSize: length, chunks } = options;
      const path = resolve(host.cwd, output);
      await checkOutputPlaces({
        places: [{ path, fileSize: 0 }],
        sources: [],
        force: options.force === true,
      });
      await runCalibration({
        model,
        host,
        // The statistics are ours, from wherever they come.
        options: { ...options, force: true },
        text: {
          files: options.data,
          rule: { kind: "stream", length },
          tokens: chunks === undefined ? undefined : chunks * length,
          holdOut: 0,
          as: "llama.cpp",
        },
        hessians: false,
        outputOf: () => `${path}.statistics`,
        result: { path, make: (plan) => writeMatrix({ statistics: plan.output, path, options }) },
      });
    },
  );
}

async function writeMatrix(params: {
  readonly statistics: string;
  readonly path: string;
  readonly options: ComputeOptions;
}): Promise<{ path: string; bytes: number }> {
  const { path, options } = params;
  const { processOutput: output = false, force = false } = options;
  const format = options.format ?? (path.endsWith(".dat") ? "dat" : "gguf");
  const statistics = await openStatistics(params.statistics);
  try {
    const importance = statisticsAsImportance(statistics, { output });
    return await writeImportance({ importance, path, format, force });
  } finally {
    await statistics.close();
    await rm(params.statistics, { force: true });
  }
}

function checkArguments({ args, parent }: Command): void {
  if (args.length <= 1) return;
  const meant = closest(
    args[0]!,
    parent!.commands.map((command) => command.name()),
  );
  throw new QuernError(
    "USAGE_ARGUMENTS",
    `Expected one model, found ${args.length} arguments.${meant === undefined ? "" : ` Did you mean ${meant}?`}`,
  );
}
