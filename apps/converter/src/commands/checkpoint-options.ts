import { LOADERS, type Loader } from "@quern/checkpoints";
import type { RecipeParameters } from "@quern/recipes";
import { CONTAINERS, PRESETS } from "@quern/recipes/presets";
import { QuernError } from "@quern/tensor";
import { type Command, InvalidArgumentError, Option } from "commander";
import { suggest } from "../completions/suggestions.ts";
import { positiveArgument } from "./arguments.ts";

/** The container that `--type` is about. */
const GGUF = "gguf";

/** What commander makes of the options that {@link addCheckpointOptions} declares. */
export interface CheckpointOptions {
  readonly to?: string;
  readonly recipe?: string;
  readonly bits?: number;
  readonly groupSize?: RecipeParameters["groupSize"];
  readonly compat?: readonly Loader[];
}

/** Options of `quern convert` that mean something for quantized checkpoints; all others are about GGUF files. */
const OWN = ["to", "recipe", "bits", "groupSize", "compat"];
const SHARED = [
  "statistics",
  "sequential",
  "data",
  "tokens",
  "output",
  "force",
  "restart",
  "dryRun",
  "report",
  "manifest",
  "splitMaxSize",
  "threads",
  "memory",
  "kernels",
  "json",
  "cache",
  "offline",
  "queue",
  "work",
  "root",
  "lease",
  "quiet",
  "verbose",
  "progress",
];

/** Declares what decides about quantized checkpoints. */
export function addCheckpointOptions(command: Command): Command {
  return command
    .optionsGroup("Quantized checkpoints (safetensors) instead of GGUF files:")
    .addOption(
      new Option(
        "--to <container>",
        "format to write, with its default recipe unless --recipe names another (default: gguf)",
      ).choices([GGUF, ...CONTAINERS.map(({ name }) => name)]),
    )
    .addOption(
      suggest(
        new Option(
          "--recipe <name or file>",
          'how to quantize: a recipe listed by "quern recipes", or a YAML file of the same form',
        ),
        { values: PRESETS.map(({ name }) => name), files: true },
      ),
    )
    .option("--bits <count>", "bits per weight instead of the recipe's", positiveArgument)
    .addOption(
      suggest(
        new Option(
          "--group-size <inputs>",
          "group size instead of the recipe's: a number, channel, tensor or block",
        ).argParser(groupSizeArgument),
        { values: ["32", "64", "128", "channel", "tensor", "block"] },
      ),
    )
    .addOption(
      suggest(
        new Option(
          "--compat <programs>",
          `refuse what these programs cannot load, comma-separated: ${LOADERS.join(", ")}`,
        ).argParser(loadersArgument),
        { values: LOADERS, list: true },
      ),
    );
}

/**
 * Whether options ask for a quantized checkpoint.
 *
 * @param shared Further options of the command that are about checkpoints, too.
 * @throws QuernError `USAGE_CONTAINER` for an option that means nothing for what is to be written
 */
export function asksForCheckpoint(command: Command, shared: readonly string[] = []): boolean {
  const { to, recipe } = command.opts<CheckpointOptions>();
  const wanted = to === GGUF ? false : to !== undefined || recipe !== undefined;
  const given = command.options.filter(
    (option) => command.getOptionValueSource(option.attributeName()) === "cli",
  );
  for (const option of given) {
    const name = option.attributeName();
    const fits = wanted
      ? OWN.includes(name) || SHARED.includes(name) || shared.includes(name)
      : name === "to" || !OWN.includes(name);
    if (fits) continue;
    const flag = option.long ?? option.flags;
    throw new QuernError(
      "USAGE_CONTAINER",
      wanted
        ? `${flag} is about GGUF files, and not about the checkpoint that ${to === undefined ? "--recipe" : "--to"} asks for.`
        : `${flag} is about checkpoints in safetensors: name what to write by --to or --recipe.`,
    );
  }
  return wanted;
}

function groupSizeArgument(text: string): RecipeParameters["groupSize"] {
  if (text === "channel" || text === "tensor" || text === "block") return text;
  if (/^\d+$/.test(text)) return positiveArgument(text);
  throw new InvalidArgumentError("Write a whole number, channel, tensor or block.");
}

function loadersArgument(text: string, previous: readonly Loader[] = []): Loader[] {
  const names = text.split(",").map((word) => word.trim());
  const unknown = names.find((name) => !(LOADERS as readonly string[]).includes(name));
  if (unknown !== undefined) {
    throw new InvalidArgumentError(`There is no "${unknown}"; choose among ${LOADERS.join(", ")}.`);
  }
  return [...new Set([...previous, ...(names as Loader[])])];
}
