import { resolve } from "node:path";
import type { GgufValue } from "@quern/gguf";
import type { IntermediateType, OutputRequest, TensorTypeRule } from "@quern/pipeline";
import { type Command, Option } from "commander";
import { suggest } from "../completions/suggestions.ts";
import {
  countArgument,
  INTERMEDIATE_TYPES,
  intermediateArgument,
  layersArgument,
  sizeArgument,
} from "./arguments.ts";
import { metadataArgument } from "./metadata-argument.ts";
import { overrideArgument } from "./override-argument.ts";
import { addRoundingOptions, type RoundingOptions } from "./rounding-options.ts";
import { type SplitOptions, splitRequest } from "./split-options.ts";
import { ggmlTypeOption, tensorTypeArgument, tensorTypeFileArgument } from "./tensor-type-argument.ts";

/** What commander makes of the options that {@link addQuantizationOptions} declares. */
export interface QuantizationOptions extends RoundingOptions {
  readonly imatrix?: string;
  readonly includeWeights?: readonly string[];
  readonly excludeWeights?: readonly string[];
  readonly intermediate?: IntermediateType;
  readonly pure?: true;
  readonly leaveOutputTensor?: true;
  readonly outputTensorType?: string;
  readonly tokenEmbeddingType?: string;
  readonly tensorType?: readonly TensorTypeRule[];
  readonly tensorTypeFile?: readonly TensorTypeRule[];
  readonly allowRequantize?: true;
}

/** What commander makes of the options that {@link addModelOptions} declares. */
export interface ModelOptions {
  readonly pre?: string;
  readonly metadata?: ReadonlyMap<string, GgufValue>;
  readonly overrideKv?: ReadonlyMap<string, GgufValue>;
  readonly pruneLayers?: readonly number[];
  readonly keepSplit?: true;
}

/** What commander makes of the options that {@link addResourceOptions} declares. */
export interface ResourceOptions {
  readonly threads?: number;
  readonly memory?: number;
  readonly kernels?: "native" | "wasm";
}

/**
 * Declares what decides about types and weights.
 *
 * @param params.cwd Folder of files with relative names.
 */
export function addQuantizationOptions({ command, cwd }: { command: Command; cwd: string }): Command {
  // Two options add to one list: the first rule that matches wins, from whichever it comes.
  const rules: TensorTypeRule[] = [];
  const addRules = (...more: TensorTypeRule[]): TensorTypeRule[] => {
    rules.push(...more);
    return rules;
  };
  const repeated = (text: string, previous: readonly string[] = []): string[] => [...previous, text];
  command
    .optionsGroup("Quantization:")
    .option(
      "--imatrix <file>",
      "importance matrix from llama-imatrix (GGUF or the older format), or a statistics file",
    )
    .option(
      "--include-weights <name>",
      "use the importance matrix only for tensors whose name contains this; repeatable",
      repeated,
    )
    .addOption(
      new Option(
        "--exclude-weights <name>",
        "do not use the importance matrix for tensors whose name contains this; repeatable",
      )
        .argParser(repeated)
        .conflicts("includeWeights"),
    )
    .addOption(
      suggest(
        new Option(
          "--intermediate <type>",
          "type that weights of a checkpoint are rounded to before they are quantized, as in llama.cpp's two steps: auto, f32, f16 or bf16 (default: auto)",
        ).argParser(intermediateArgument),
        { values: INTERMEDIATE_TYPES },
      ),
    )
    .option("--pure", "give every matrix the same type instead of a mixture")
    .option("--leave-output-tensor", "do not quantize output.weight")
    .addOption(ggmlTypeOption("--output-tensor-type <type>", "type of output.weight"))
    .addOption(ggmlTypeOption("--token-embedding-type <type>", "type of token_embd.weight"))
    .option(
      "--tensor-type <pattern=type>",
      "type of tensors whose name matches a regular expression; repeatable, the first match wins",
      (text) => addRules(tensorTypeArgument(text)),
    )
    .option("--tensor-type-file <file>", "file of such rules, separated by whitespace", (path) =>
      addRules(...tensorTypeFileArgument(resolve(cwd, path))),
    )
    .option(
      "--allow-requantize",
      "allow tensors that are already quantized to be quantized again; the added error is reported",
    );
  return addRoundingOptions(command).optionsGroup("Quantization:");
}

/** Declares what the file says of the model. */
export function addModelOptions(command: Command): Command {
  // Two options set pairs, in the order in which they are given.
  const pairs = new Map<string, GgufValue>();
  const setPairs = (more: Iterable<readonly [string, GgufValue]>): Map<string, GgufValue> => {
    for (const [key, value] of more) {
      // A key that is set again moves to the end.
      pairs.delete(key);
      pairs.set(key, value);
    }
    return pairs;
  };
  return command
    .optionsGroup("Model:")
    .option(
      "--pre <name>",
      "pre-tokenizer name (tokenizer.ggml.pre), for when it cannot be derived from tokenizer.json",
    )
    .option(
      "--metadata <key=type:value>",
      "set or replace a metadata value, for example general.name=string:Mine; repeatable",
      (text) => setPairs(metadataArgument(text, undefined)),
    )
    .option(
      "--override-kv <key=type:value>",
      "the same in llama-quantize's syntax, with int, float, bool or str as type; repeatable",
      (text) => setPairs([overrideArgument(text)]),
    )
    .option(
      "--prune-layers <numbers>",
      "blocks to leave out, comma-separated and numbered from 0; the blocks after them move up",
      layersArgument,
    )
    .option("--keep-split", "for a split GGUF: keep the same parts instead of writing one file");
}

/** Declares what a run may use. @param memory The default of the budget, in words. */
export function addResourceOptions(
  command: Command,
  memory = "a quarter of the machine's, at most 256 MiB",
): Command {
  return command
    .optionsGroup("Resources:")
    .option("-j, --threads <count>", "worker threads, 0 for none (default: one per core)", countArgument)
    .option(
      "-m, --memory <size>",
      `memory for buffers, such as 400MB or 1GiB (default: ${memory})`,
      sizeArgument,
    )
    .addOption(
      new Option("--kernels <which>", "kernels to run (default: native where it loads)").choices([
        "native",
        "wasm",
      ]),
    );
}

/** Flag and description, for commands that go on with what an interrupted run has left. */
export const RESTART_OPTION = [
  "--restart",
  "discard what an interrupted run left behind instead of resuming it",
] as const;

/** Declares the report of a conversion. */
export function addReportOption(command: Command): Command {
  return command.option(
    "--report <file>",
    "measure the error of every tensor, and write a page (.html, with .json beside it) or only the figures (.json)",
  );
}

/** Declares the manifest of GGUF files. */
export function addManifestOption(command: Command): Command {
  return command.option(
    "--manifest",
    "also write <file>.manifest.json for quern verify: source, options and hashes, with a summary in the file's metadata",
  );
}

/** Declares what is said, and how, while work is done. */
export function addMessageOptions(command: Command): Command {
  return addLoudness(command, "plan, events and result as JSON lines on standard output").option(
    "--no-progress",
    "do not show progress",
  );
}

/** Declares what is said, and how, by commands that answer at once. @param json What `--json` writes. */
export function addAnswerOptions(command: Command, json = "as JSON on standard output"): Command {
  return addLoudness(command, json);
}

function addLoudness(command: Command, json: string): Command {
  return command
    .optionsGroup("Messages:")
    .option("--json", json)
    .option("-q, --quiet", "print only the result and errors")
    .addOption(
      new Option(
        "-v, --verbose",
        "print more: the whole plan, every step, where settings come from",
      ).conflicts("quiet"),
    );
}

/** What the options ask of every output. */
export function requestedQuantization(
  options: QuantizationOptions & ModelOptions & SplitOptions,
): Omit<OutputRequest, "type" | "path" | "flavour"> {
  const { intermediate, pure, leaveOutputTensor, outputTensorType, tokenEmbeddingType } = options;
  const { allowRequantize, pruneLayers, keepSplit } = options;
  // Both options of a pair hold the same.
  const tensorTypes = options.tensorType ?? options.tensorTypeFile;
  const metadata = options.metadata ?? options.overrideKv;
  const split = splitRequest(options);
  return {
    ...(intermediate === undefined ? {} : { intermediate }),
    ...(pure === undefined ? {} : { pure }),
    ...(leaveOutputTensor === undefined ? {} : { leaveOutputTensor }),
    ...(outputTensorType === undefined ? {} : { outputTensorType }),
    ...(tokenEmbeddingType === undefined ? {} : { tokenEmbeddingType }),
    ...(tensorTypes === undefined ? {} : { tensorTypes }),
    ...(allowRequantize === undefined ? {} : { allowRequantize }),
    ...(pruneLayers === undefined ? {} : { pruneLayers }),
    ...(keepSplit === undefined ? {} : { keepSplit }),
    ...(metadata === undefined ? {} : { metadata }),
    ...(split === undefined ? {} : { split }),
  };
}
