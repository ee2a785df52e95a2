import type { QuantizationRecipe } from "@quern/recipes";
import { type Command, Option } from "commander";
import { positiveArgument } from "./arguments.ts";

/** What commander makes of the options that {@link addRoundingOptions} declares. */
export interface RoundingOptions {
  readonly rounding?: string;
  readonly transform?: string;
  readonly statistics?: string;
  readonly sequential?: true;
  /** As the user gave them: files with or without weights. */
  readonly data?: readonly string[];
  readonly tokens?: number;
}

/** What `--transform` asks for. */
export function transformsOf({
  transform,
}: Pick<RoundingOptions, "transform">): NonNullable<QuantizationRecipe["transforms"]> {
  return transform === undefined ? [] : [{ name: transform }];
}

/** Declares how layers are rounded by what they read, and how that becomes known. */
export function addRoundingOptions(command: Command): Command {
  return command
    .optionsGroup("Rounding by inputs:")
    .addOption(
      new Option(
        "--rounding <method>",
        "of GGUF: round linear layers so that errors make up for each other, where that is better on inputs held out; needs --statistics or --sequential",
      ).choices(["gptq", "coordinate-descent"]),
    )
    .addOption(
      new Option(
        "--transform <name>",
        "of checkpoints that become GGUF: fold factors for the inputs of layers into what makes these, before --rounding",
      ).choices(["awq", "smooth-quant"]),
    )
    .addOption(
      new Option(
        "--statistics <file>",
        'what "quern calibrate" has found out about the model; of GGUF also the importance matrix',
      ).conflicts("imatrix"),
    )
    .addOption(
      new Option(
        "--sequential",
        "run the model along with its quantization instead: layers are rounded for what they read once those before them are",
      ).conflicts("statistics"),
    )
    .option(
      "--data <file...>",
      "texts for --sequential, each with its share of the tokens as file:weight (default: a bundled mixture)",
    )
    .option("--tokens <count>", "tokens for --sequential (default: 32768)", positiveArgument);
}
