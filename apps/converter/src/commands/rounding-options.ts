import type { InputsAlong, QuantizationRecipe } from "@quern/recipes";
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

/** What files of GGUF need of a model that runs while it is quantized: only layers of its blocks are rounded by what they read. */
export function roundingNeeds(options: Pick<RoundingOptions, "transform">): InputsAlong {
  return { transforms: transformsOf(options), cross: false, output: false };
}

/** Declares how layers are rounded by what they read, and how that becomes known. */
export function addRoundingOptions(command: Command): Command {
  return command
    .optionsGroup("Rounding by layer inputs:")
    .addOption(
      new Option(
        "--rounding <method>",
        "for GGUF: round linear layers so that errors compensate each other, wherever that is better on held-out inputs; needs --statistics or --sequential",
      ).choices(["gptq", "coordinate-descent"]),
    )
    .addOption(
      new Option(
        "--transform <name>",
        "for checkpoints that become GGUF: before --rounding, scale the inputs of layers and fold the inverse factors into the layers before them",
      ).choices(["awq", "smooth-quant"]),
    )
    .addOption(
      new Option(
        "--statistics <file>",
        'statistics file written by "quern calibrate"; for GGUF it also serves as the importance matrix',
      ).conflicts("imatrix"),
    )
    .addOption(
      new Option(
        "--sequential",
        "instead of --statistics: run the model while quantizing it, so that each layer is rounded for the outputs of the layers already quantized before it",
      ).conflicts("statistics"),
    )
    .option(
      "--data <file...>",
      "texts for --sequential, each with an optional share of the tokens as file:weight (default: a bundled mixture)",
    )
    .option("--tokens <count>", "tokens for --sequential (default: 32768)", positiveArgument);
}
