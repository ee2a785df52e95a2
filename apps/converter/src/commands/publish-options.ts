import { type Command, InvalidArgumentError, Option } from "commander";
import type { WeightedFile } from "@quern/corpus";
import { DEFAULT_RULE } from "@quern/evaluation";
import { parseHubReference } from "@quern/hub";
import { positiveArgument, typesArgument } from "./arguments.ts";
import { dataArgument } from "./data-argument.ts";
import { addCheckpointOptions, type CheckpointOptions } from "./checkpoint-options.ts";
import type { MessageOptions } from "./run-reported.ts";
import {
  addMessageOptions,
  addModelOptions,
  addQuantizationOptions,
  addResourceOptions,
  type ModelOptions,
  type QuantizationOptions,
  type ResourceOptions,
} from "./shared-options.ts";
import { addSplitOptions, type SplitOptions } from "./split-options.ts";

/** What commander makes of the options that {@link addPublishOptions} declares. */
export interface PublishOptions
  extends
    QuantizationOptions,
    ModelOptions,
    SplitOptions,
    ResourceOptions,
    MessageOptions,
    CheckpointOptions {
  readonly type?: readonly string[];
  readonly repo: string;
  readonly private?: true;
  readonly pr?: true;
  readonly dryRun?: true;
  readonly outputDir?: string;
  readonly deleteLocal?: true;
  readonly oneByOne?: true;
  readonly restart?: true;
  readonly force?: true;
  readonly revision?: string;
  readonly baseModel?: string;
  readonly reportFile?: readonly string[];
  readonly measureErrors?: true;
  /** True: the bundled texts. */
  readonly eval?: true | readonly WeightedFile[];
  readonly context?: number;
  readonly windows?: number;
}

/** Options of publications that checkpoints share with GGUF files. */
export const SHARED_WITH_CHECKPOINTS: readonly string[] = [
  "repo",
  "private",
  "pr",
  "outputDir",
  "deleteLocal",
  "restart",
  "revision",
  "baseModel",
];

/** Declares the options of `quern publish`. @param params.cwd Folder of files with relative names. */
export function addPublishOptions({ command, cwd }: { command: Command; cwd: string }): Command {
  command
    .requiredOption(
      "--repo <owner/name>",
      "repository to publish to; it is created where it is not there",
      idArgument,
    )
    .addOption(
      new Option("-t, --type <types>", "types to publish, separated by commas (default: Q4_K_M)").argParser(
        typesArgument,
      ),
    )
    .option("--revision <name>", "branch, tag or commit of a model of the Hub")
    .option("-n, --dry-run", "show what would be made and uploaded, and do nothing")
    .optionsGroup("Repository:")
    .option("--private", "create the repository so that nobody else sees it")
    .option("--pr", "open a pull request instead of adding to the main branch")
    .optionsGroup("Model card:")
    .option("--base-model <owner/name>", "model of the Hub that a folder holds", idArgument)
    .option(
      "--report-file <file>",
      "JSON that --report of quern convert or quern eval has written: its figures go into the card; repeatable",
      (text: string, previous: readonly string[] | undefined) => [...(previous ?? []), text],
    )
    .option("--measure-errors", "measure what becomes of the weights, and tell it in the card")
    .addOption(
      new Option(
        "--eval [file...]",
        "compare each file with the model before it is uploaded, as quern eval --against does, and tell divergence and perplexity in the card; on these texts (default: the bundled ones)",
      ).argParser((text: string, previous: true | WeightedFile[] | undefined) =>
        dataArgument(text, previous === true ? undefined : previous),
      ),
    )
    .option(
      "-c, --context <tokens>",
      `tokens that the model sees at once with --eval (default: ${DEFAULT_RULE.context})`,
      positiveArgument,
    )
    .option("--windows <count>", "windows to stop after with --eval (default: all)", positiveArgument)
    .optionsGroup("Files:")
    .option("-o, --output-dir <folder>", "folder of the files (default: one called as the repository)")
    .option("--delete-local", "remove files once the repository is seen to hold them")
    .option(
      "--one-by-one",
      "one pass over the weights for each type, uploaded while the next one is made (default: where weights are on this machine, or the disk is small)",
    )
    .option("--restart", "begin anew where another publication to this repository was not finished")
    .option("-f, --force", "replace files that are in the way");
  addCheckpointOptions(command).optionsGroup("Split files (default: above 50 GB, the Hub's limit):");
  addSplitOptions({ command });
  addQuantizationOptions({ command, cwd });
  addModelOptions(command);
  addResourceOptions(command);
  return addMessageOptions(command);
}

function idArgument(text: string): string {
  try {
    const { id, revision } = parseHubReference(text);
    if (id.includes("/") && revision === undefined) return id;
  } catch {
    // Said below.
  }
  throw new InvalidArgumentError("Write <owner>/<name>.");
}
