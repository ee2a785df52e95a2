import { type Command, InvalidArgumentError, Option } from "commander";
import type { WeightedFile } from "@quern/corpus";
import { DEFAULT_RULE } from "@quern/evaluation";
import { parseHubReference } from "@quern/hub";
import { positiveArgument, typesArgument } from "./arguments.ts";
import { dataArgument } from "./data-argument.ts";
import { addCheckpointOptions, type CheckpointOptions } from "./checkpoint-options.ts";
import type { QueuedOptions } from "./by-queue.ts";
import { addQueuedOptions } from "./queue-options.ts";
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
    QueuedOptions,
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
  "reportFile",
  "eval",
  "context",
  "windows",
];

/** Declares the options of `quern publish`. @param params.cwd Folder of files with relative names. */
export function addPublishOptions({ command, cwd }: { command: Command; cwd: string }): Command {
  command
    .requiredOption(
      "--repo <owner/name>",
      "repository to publish to; created if it does not exist",
      idArgument,
    )
    .addOption(
      new Option("-t, --type <types>", "types to publish, comma-separated (default: Q4_K_M)").argParser(
        typesArgument,
      ),
    )
    .option("--revision <name>", "branch, tag or commit of a model of the Hub")
    .option("-n, --dry-run", "show what would be made and uploaded, without doing it")
    .optionsGroup("Repository:")
    .option("--private", "create the repository as a private one; one that is there has to be private")
    .option("--pr", "open a pull request instead of adding to the main branch")
    .optionsGroup("Model card:")
    .option("--base-model <owner/name>", "Hub model that a local folder is a copy of", idArgument)
    .option(
      "--report-file <file>",
      "JSON written by --report of quern convert or quern eval, whose figures go into the card; repeatable",
      (text: string, previous: readonly string[] | undefined) => [...(previous ?? []), text],
    )
    .addOption(
      new Option(
        "--eval [file...]",
        "compare each file or checkpoint with the model before it is uploaded, as quern eval --against does, and tell divergence and perplexity in the card; on these texts (default: the bundled ones)",
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
    .option("-o, --output-dir <folder>", "folder for the files (default: named after the repository)")
    .option("--delete-local", "delete local files once the repository is verified to hold them")
    .option(
      "--one-by-one",
      "one pass over the weights per type, each uploaded while the next is made (default: for local weights, or when disk space is short)",
    )
    .option("--restart", "start over instead of resuming an unfinished publication to this repository")
    .option("-f, --force", "replace existing files, weights of others in the repository, too");
  addCheckpointOptions(command).optionsGroup("Split files (default: above 50 GB, the Hub's limit):");
  addSplitOptions({ command });
  addQuantizationOptions({ command, cwd });
  addModelOptions(command);
  addResourceOptions(command);
  addMessageOptions(command);
  return addQueuedOptions(command);
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
