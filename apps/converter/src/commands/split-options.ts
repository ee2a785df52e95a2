import type { GgufDivision } from "@quern/gguf";
import { QuernError } from "@quern/tensor";
import { type Command, InvalidArgumentError, Option } from "commander";
import { parseSize } from "../format/bytes.ts";
import { countArgument } from "./arguments.ts";

/** What commander makes of the options that {@link addSplitOptions} declares. */
export interface SplitOptions {
  /** Bytes. */
  readonly splitMaxSize?: number;
  readonly splitMaxTensors?: number;
  /** False with `--no-tensor-first-split`. */
  readonly tensorFirstSplit: boolean;
}

/**
 * Declares how files are split, with the names that llama.cpp's tools give the options.
 *
 * @param params.short Whether `--max-size` and `--max-tensors` do as well.
 */
export function addSplitOptions(params: { command: Command; short?: boolean }): Command {
  const { command, short = false } = params;
  const flags = (name: string): string => (short ? `--${name}, --split-${name}` : `--split-${name}`);
  return command
    .addOption(
      new Option(
        `${flags("max-size")} <size>`,
        "maximum tensor data per file, such as 500M or 2G (powers of 1000, as in llama.cpp) or 2GiB",
      )
        .argParser(splitSizeArgument)
        .conflicts("splitMaxTensors"),
    )
    .addOption(
      new Option(`${flags("max-tensors")} <count>`, "maximum number of tensors per file").argParser(
        countArgument,
      ),
    )
    .option("--no-tensor-first-split", "put only metadata into the first file");
}

/**
 * Turns options into a division.
 *
 * @returns undefined when nothing is to be split
 * @throws QuernError `USAGE_SPLIT` for `--no-tensor-first-split` alone
 */
export function splitRequest(options: SplitOptions): GgufDivision | undefined {
  const { splitMaxSize, splitMaxTensors, tensorFirstSplit } = options;
  const first = { firstWithoutTensors: !tensorFirstSplit };
  if (splitMaxSize !== undefined) return { maxBytes: splitMaxSize, ...first };
  if (splitMaxTensors !== undefined) return { maxTensors: splitMaxTensors, ...first };
  if (tensorFirstSplit) return undefined;
  throw new QuernError(
    "USAGE_SPLIT",
    "--no-tensor-first-split says how to split, but not where: name a size or a number of tensors, too.",
  );
}

function splitSizeArgument(text: string): number {
  const size = parseSize(text, 1000);
  if (size === undefined) {
    throw new InvalidArgumentError("Write a size such as 500M, 2G or 2GiB.");
  }
  return size;
}
