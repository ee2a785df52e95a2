import { resolve } from "node:path";
import type { WeightedFile } from "@quern/corpus";
import { DEFAULT_LIKELIEST, DEFAULT_RULE, type ScoredPart, SCORED_PARTS } from "@quern/evaluation";
import { type Command, Option } from "commander";
import { HUB_VARIABLES, KERNEL_VARIABLES } from "../help/environment.ts";
import { addManual } from "../help/manual.ts";
import type { Host } from "../host.ts";
import { reportTarget } from "../report/report-target.ts";
import { positiveArgument } from "./arguments.ts";
import { dataArgument } from "./data-argument.ts";
import { runEvaluation } from "./run-evaluation.ts";
import { addHubOptions, type HubOptions } from "./hub-options.ts";
import type { MessageOptions } from "./run-reported.ts";
import { addMessageOptions, addResourceOptions, type ResourceOptions } from "./shared-options.ts";
import { MODEL_ARGUMENT } from "./open-named.ts";

/** What commander makes of the options of `quern eval`. */
interface EvaluateOptions extends ResourceOptions, HubOptions, MessageOptions {
  readonly against?: string;
  readonly data?: readonly WeightedFile[];
  readonly context?: number;
  readonly windows?: number;
  readonly chunks?: number;
  readonly score?: ScoredPart;
  readonly saveReference?: string;
  readonly likeliest: number;
  readonly report?: string;
  readonly force?: true;
  readonly dryRun?: true;
}

const EVALUATION_MEMORY = "a quarter of the machine's, at most 4 GiB";

export function defineEvaluate(command: Command, host: Host): void {
  addManual(command, {
    description: [
      "Gives the figures of llama-perplexity: perplexity with its standard error, and against a reference the KL divergence, changes of token probabilities, and how often both prefer the same token.",
      "Checkpoints whose layers quantize what they read (W8A8, FP8) are run that way, with inputs as vLLM computes them.",
    ],
    examples: [
      { does: "Perplexity", run: "quern eval model.gguf --windows 2" },
      {
        does: "What quantization cost, as a page",
        run: "quern eval model.gguf --against model --data texts.txt --context 128 --windows 2 --report cost.html",
      },
      { does: "Save a reference", run: "quern eval model --windows 2 --save-reference model.reference" },
      { does: "Compare with the saved reference", run: "quern eval model.gguf --against model.reference" },
    ],
    environment: [...HUB_VARIABLES, ...KERNEL_VARIABLES],
    seeAlso: ["report", "calibrate"],
  });
  command
    .argument("<model>", MODEL_ARGUMENT)
    .option(
      "--against <reference>",
      "model to compare with, such as the unquantized one, or a file written by --save-reference",
    )
    .option(
      "--data <file...>",
      "texts (.txt, .jsonl, .parquet), reported separately (default: bundled texts, different from those of quern calibrate)",
      dataArgument,
    )
    .option(
      "-c, --context <tokens>",
      `tokens per window (default: ${DEFAULT_RULE.context})`,
      positiveArgument,
    )
    .option("--windows <count>", "windows to stop after; texts take turns (default: all)", positiveArgument)
    .addOption(
      new Option("--chunks <count>", "the same in the words of llama-perplexity")
        .argParser(positiveArgument)
        .conflicts("windows"),
    )
    .addOption(
      new Option(
        "--score <part>",
        "which positions count: the second half of each window, as in llama-perplexity, or all of them, without special tokens (default: half)",
      ).choices(SCORED_PARTS),
    )
    .option(
      "--report <file>",
      "write the result as a page (.html, with .json beside it) or only as figures (.json)",
    )
    .addOption(
      new Option(
        "--save-reference <file>",
        "save what a later --against needs of this model: the most likely tokens at each position",
      ).conflicts("against"),
    )
    .option(
      "--likeliest <count>",
      "tokens per position that --save-reference keeps",
      positiveArgument,
      DEFAULT_LIKELIEST,
    )
    .option("-f, --force", "replace files that exist")
    .option("-n, --dry-run", "show the plan, and run nothing");
  addMessageOptions(addHubOptions(addResourceOptions(command, EVALUATION_MEMORY))).action(
    async (model: string, options: EvaluateOptions) => {
      const { against, saveReference, report, likeliest } = options;
      const limit = options.windows ?? options.chunks;
      await runEvaluation({
        model,
        host,
        options,
        ...(against === undefined ? {} : { reference: against }),
        text: {
          files: options.data,
          rule: {
            ...(options.context === undefined ? {} : { context: options.context }),
            ...(options.score === undefined ? {} : { score: options.score }),
          },
          ...(limit === undefined ? {} : { limit }),
        },
        ...(saveReference === undefined
          ? {}
          : { save: { path: resolve(host.cwd, saveReference), likeliest, force: options.force === true } }),
        ...(report === undefined ? {} : { target: reportTarget(report, host.cwd) }),
      });
    },
  );
}
