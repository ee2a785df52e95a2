import { join } from "node:path";
import type { WeightedFile } from "@quern/corpus";
import { type Command, Option } from "commander";
import { HUB_VARIABLES, KERNEL_VARIABLES } from "../help/environment.ts";
import { addManual } from "../help/manual.ts";
import type { Host } from "../host.ts";
import { countArgument, positiveArgument } from "./arguments.ts";
import { dataArgument } from "./data-argument.ts";
import { outputTarget } from "./output-target.ts";
import { runCalibration } from "./run-calibration.ts";
import { addHubOptions, type HubOptions } from "./hub-options.ts";
import type { MessageOptions } from "./run-reported.ts";
import {
  addMessageOptions,
  addResourceOptions,
  RESTART_OPTION,
  type ResourceOptions,
} from "./shared-options.ts";
import { MODEL_ARGUMENT } from "./open-named.ts";

/** What commander makes of the options of `quern calibrate`. */
interface CalibrateOptions extends ResourceOptions, HubOptions, MessageOptions {
  readonly data?: readonly WeightedFile[];
  readonly output?: string;
  readonly tokens?: number;
  readonly windows?: number;
  readonly window: number;
  readonly holdOut: number;
  readonly keepWindows: number;
  /** False with `--no-hessians`. */
  readonly hessians: boolean;
  readonly force?: true;
  readonly restart?: true;
  readonly dryRun?: true;
}

/** Twice the inputs of the widest layers of models of up to 8 billion parameters (14,336), and some to keep apart. */
export const DEFAULT_TOKENS = 32_768;

/**
 * Short enough that the same tokens come from many texts and that some windows of each can be kept apart; llama-imatrix, AutoAWQ and
 * SmoothQuant have the same.
 */
export const DEFAULT_WINDOW = 512;

export const CALIBRATION_MEMORY = "a quarter of the machine's, at most 4 GiB";

export function defineCalibrate(command: Command, host: Host): void {
  addManual(command, {
    description: [
      "For the input X of every linear layer, the statistics file holds column sums, a histogram and the Hessian X^T X. GPTQ, AWQ and SmoothQuant need them, and the file also serves as an importance matrix. The result does not depend on threads or memory.",
      "After an interruption, the same command resumes behind the last complete block.",
    ],
    examples: [
      { does: "What it would need", run: "quern calibrate model --dry-run" },
      { does: "On the bundled texts", run: "quern calibrate model --tokens 4096" },
      {
        does: "On your own texts, with twice as many tokens from the first",
        run: "quern calibrate model --data texts.txt:2 chats.jsonl --tokens 2048 -o mine.safetensors",
      },
    ],
    environment: [...HUB_VARIABLES, ...KERNEL_VARIABLES],
    seeAlso: ["convert", "imatrix", "eval"],
  });
  command
    .argument("<model>", MODEL_ARGUMENT)
    .option(
      "--data <file...>",
      "texts (.txt), or texts or conversations (.jsonl, .parquet), each with an optional share of the tokens as file:weight (default: a bundled mixture)",
      dataArgument,
    )
    .option(
      "-o, --output <path>",
      "statistics file to write, or a folder (default: <name>-statistics.safetensors in the current folder)",
    )
    .addOption(
      new Option("--tokens <count>", `tokens to run the model on (default: ${DEFAULT_TOKENS})`)
        .argParser(positiveArgument)
        .conflicts("windows"),
    )
    .option("--windows <count>", "the same as a number of windows", positiveArgument)
    .option("--window <tokens>", "tokens that the model sees at once", positiveArgument, DEFAULT_WINDOW)
    .option(
      "--hold-out <k>",
      "hold out every k-th window of each text for validation; 0 for none",
      countArgument,
      10,
    )
    .option(
      "--keep-windows <count>",
      "for this many of the held-out windows, store all inputs of attention, for AWQ that minimizes the loss of whole attention blocks; 0 for none",
      countArgument,
      0,
    )
    .option(
      "--no-hessians",
      "leave out the Hessians X^T X, which GPTQ needs, and which take most of the file and half of the time",
    )
    .option("-f, --force", "replace an existing file, and what a run with other options left unfinished")
    .option(...RESTART_OPTION)
    .option("-n, --dry-run", "show the plan, and run nothing");
  addMessageOptions(addHubOptions(addResourceOptions(command, CALIBRATION_MEMORY))).action(
    async (model: string, options: CalibrateOptions) => {
      const { data: files, window: length, holdOut, keepWindows, hessians, windows } = options;
      const tokens = windows === undefined ? (options.tokens ?? DEFAULT_TOKENS) : windows * length;
      await runCalibration({
        model,
        host,
        options,
        text: { files, rule: { kind: "packed", length }, tokens, holdOut, as: "original" },
        hessians,
        keepWindows,
        outputOf: (name) => {
          const { file, directory } = outputTarget(options.output, host.cwd);
          return file ?? join(directory, `${name}-statistics.safetensors`);
        },
      });
    },
  );
}
