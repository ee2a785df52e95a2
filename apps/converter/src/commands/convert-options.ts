import { statSync } from "node:fs";
import { resolve, sep } from "node:path";
import type { GgufValue } from "@quern/gguf";
import type { Flavour, IntermediateType, OutputRequest, TensorTypeRule } from "@quern/pipeline";
import { QuernError } from "@quern/tensor";
import { type Command, Option } from "commander";
import {
  countArgument,
  intermediateArgument,
  layersArgument,
  sizeArgument,
  tensorTypeArgument,
  typesArgument,
} from "./arguments.ts";
import { metadataArgument } from "./metadata-argument.ts";
import type { MessageOptions } from "./run-reported.ts";
import { addSplitOptions, type SplitOptions, splitRequest } from "./split-options.ts";

/** What commander makes of the options that {@link addConvertOptions} declares. */
export interface ConvertOptions extends MessageOptions, SplitOptions {
  readonly type?: readonly string[];
  readonly output?: string;
  readonly force?: true;
  readonly dryRun?: true;
  readonly imatrix?: string;
  readonly pre?: string;
  readonly metadata?: ReadonlyMap<string, GgufValue>;
  readonly flavour?: Flavour;
  readonly intermediate?: IntermediateType;
  readonly pure?: true;
  readonly leaveOutputTensor?: true;
  readonly outputTensorType?: string;
  readonly tokenEmbeddingType?: string;
  readonly tensorType?: readonly TensorTypeRule[];
  readonly allowRequantize?: true;
  readonly pruneLayers?: readonly number[];
  readonly keepSplit?: true;
  readonly threads?: number;
  readonly memory?: number;
  readonly kernels?: "native" | "wasm";
}

/** The type of which most people speak when they say "quantized": a third of the size, hardly worse. */
const defaultType = "Q4_K_M";

function upperCase(text: string): string {
  return text.toUpperCase();
}

/** Declares the options of `quern convert`. */
export function addConvertOptions(command: Command): Command {
  command
    .addOption(
      new Option(
        "-t, --type <types>",
        `types to write, separated by commas, all in one pass over the weights (default: ${defaultType})`,
      ).argParser(typesArgument),
    )
    .option(
      "-o, --output <path>",
      "file to write (one type), or folder: one that exists or ends in / (default: <name>-<TYPE>.gguf in the current folder)",
    )
    .option("-f, --force", "replace output files that exist")
    .option("-n, --dry-run", "show the whole plan, tensor by tensor, and write nothing")
    .optionsGroup("Split files:");
  return addSplitOptions({ command })
    .optionsGroup("Quantization:")
    .option("--imatrix <file>", "importance matrix made by llama-imatrix, in GGUF or its older format")
    .addOption(
      new Option(
        "--flavour <flavour>",
        "whose file to equal, byte for byte: the converter's (convert_hf_to_gguf.py --outtype) or the quantizer's (llama-quantize)",
      ).choices(["converter", "quantizer"]),
    )
    .option(
      "--intermediate <type>",
      "type that weights pass through before they are quantized, as in the usual two steps: auto, f32, f16 or bf16 (default: auto)",
      intermediateArgument,
    )
    .option("--pure", "give every matrix the same type instead of a mixture")
    .option("--leave-output-tensor", "do not quantize output.weight")
    .option("--output-tensor-type <type>", "type of output.weight", upperCase)
    .option("--token-embedding-type <type>", "type of token_embd.weight", upperCase)
    .option(
      "--tensor-type <pattern=type>",
      "type of the tensors whose name matches a regular expression; repeatable, the first match wins",
      tensorTypeArgument,
    )
    .option(
      "--allow-requantize",
      "quantize tensors again that are quantized already; the error that this adds is reported at the end",
    )
    .optionsGroup("Model:")
    .option("--pre <name>", "pre-tokenizer name (tokenizer.ggml.pre) where tokenizer.json does not tell")
    .option(
      "--metadata <key=type:value>",
      "set or replace a value of the metadata, for example general.name=string:Mine; repeatable",
      metadataArgument,
    )
    .option(
      "--prune-layers <numbers>",
      "blocks to leave out, numbered from 0 and separated by commas; those behind them move up",
      layersArgument,
    )
    .option("--keep-split", "of a split GGUF: write the same parts again instead of one file")
    .optionsGroup("Resources:")
    .option("-j, --threads <count>", "worker threads, 0 for none (default: one per core)", countArgument)
    .option(
      "-m, --memory <size>",
      "memory for buffers, such as 400MB or 1GiB (default: a quarter of the machine's, at most 256 MiB)",
      sizeArgument,
    )
    .addOption(
      new Option("--kernels <which>", "kernels to run (default: native where it loads)").choices([
        "native",
        "wasm",
      ]),
    )
    .optionsGroup("Messages:")
    .option("--json", "plan, events and result as JSON lines on standard output")
    .option("-q, --quiet", "say nothing but the result and errors")
    .option("--no-progress", "do not show progress");
}

/** Turns options into what the pipeline is asked for. */
export function outputRequests(
  options: ConvertOptions,
  cwd: string,
): { outputs: OutputRequest[]; directory: string } {
  const types = options.type ?? [defaultType];
  const target = outputTarget(options.output, cwd);
  const split = splitRequest(options);
  if (target.file !== undefined && types.length > 1) {
    throw new QuernError(
      "USAGE_OUTPUT",
      `--output names one file, but ${types.length} types are to be written (${types.join(", ")}): name a folder that exists, or end it in "/".`,
    );
  }
  const outputs = types.map((type): OutputRequest => ({
    type,
    ...(target.file === undefined ? {} : { path: target.file }),
    ...(options.flavour === undefined ? {} : { flavour: options.flavour }),
    ...(options.intermediate === undefined ? {} : { intermediate: options.intermediate }),
    ...(options.pure === undefined ? {} : { pure: true }),
    ...(options.leaveOutputTensor === undefined ? {} : { leaveOutputTensor: true }),
    ...(options.outputTensorType === undefined ? {} : { outputTensorType: options.outputTensorType }),
    ...(options.tokenEmbeddingType === undefined ? {} : { tokenEmbeddingType: options.tokenEmbeddingType }),
    ...(options.tensorType === undefined ? {} : { tensorTypes: options.tensorType }),
    ...(options.allowRequantize === undefined ? {} : { allowRequantize: true }),
    ...(options.pruneLayers === undefined ? {} : { pruneLayers: options.pruneLayers }),
    ...(options.keepSplit === undefined ? {} : { keepSplit: true }),
    ...(options.metadata === undefined ? {} : { metadata: options.metadata }),
    ...(split === undefined ? {} : { split }),
  }));
  return { outputs, directory: target.directory };
}

/** Where `--output` leads: to a file, or into a folder that exists or whose name ends in a separator. */
export function outputTarget(output: string | undefined, cwd: string): { file?: string; directory: string } {
  if (output === undefined) {
    return { directory: cwd };
  }
  const path = resolve(cwd, output);
  return output.endsWith("/") || output.endsWith(sep) || isDirectory(path)
    ? { directory: path }
    : { file: path, directory: cwd };
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    // Whatever is in the way is for the plan to say.
    return false;
  }
}
