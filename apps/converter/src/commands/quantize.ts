import { dirname } from "node:path";
import { Argument, type Command } from "commander";
import { suggest } from "../completions/suggestions.ts";
import { HUB_VARIABLES, KERNEL_VARIABLES } from "../help/environment.ts";
import { addManual } from "../help/manual.ts";
import type { Host } from "../host.ts";
import { OUTPUT_TYPES } from "./arguments.ts";
import { quantizeArguments } from "./quantize-arguments.ts";
import { addQuantizeOptions, type QuantizeOptions } from "./quantize-options.ts";
import { runConversion } from "./run-conversion.ts";
import { requestedQuantization } from "./shared-options.ts";

export function defineQuantize(command: Command, host: Host): void {
  addManual(command, {
    description: [
      "Takes the arguments of llama-quantize and writes the same bytes. A type can be given by name in any case, by the short names Q3_K, Q4_K and Q5_K, or by number; COPY copies. Without an output the file is called ggml-model-<TYPE>.gguf and lies beside the model. An existing file is replaced only with --force.",
    ],
    examples: [
      { does: "To a named file", run: "quern quantize model-BF16.gguf out.gguf Q4_K_M" },
      {
        does: "With an importance matrix, on two threads",
        run: "quern quantize --imatrix imatrix.gguf model-BF16.gguf small.gguf IQ3_XXS 2",
      },
      {
        does: "Straight from a checkpoint",
        run: "quern quantize --tensor-type ffn_down=q6_k model mixed.gguf Q4_K_M",
      },
    ],
    environment: [...HUB_VARIABLES, ...KERNEL_VARIABLES],
    seeAlso: ["convert", "imatrix", "types"],
  });
  command
    .usage("[options] <model> [output.gguf] <type> [threads]")
    .addArgument(
      suggest(
        new Argument(
          "<arguments...>",
          "model: GGUF file, folder of a checkpoint, or hf:owner/name; type: by name or number",
        ),
        { values: OUTPUT_TYPES, files: true },
      ),
    );
  addQuantizeOptions({ command, cwd: host.cwd }).action(
    (words: readonly string[], options: QuantizeOptions) => runQuantize({ words, options, host }),
  );
}

async function runQuantize(params: {
  readonly words: readonly string[];
  readonly options: QuantizeOptions;
  readonly host: Host;
}): Promise<void> {
  const { words, options, host } = params;
  const { model, path, type, threads } = quantizeArguments(words, host.cwd);
  const { maxBufferSize: memory } = options;
  await runConversion({
    model,
    outputs: [
      {
        type,
        path,
        flavour: "quantizer",
        ...requestedQuantization(options),
      },
    ],
    directory: dirname(path),
    options: {
      ...options,
      ...(threads === undefined ? {} : { threads }),
      ...(memory === undefined ? {} : { memory }),
    },
    host,
  });
}
