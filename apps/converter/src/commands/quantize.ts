import { dirname } from "node:path";
import type { Command } from "commander";
import type { Host } from "../host.ts";
import { quantizeArguments } from "./quantize-arguments.ts";
import { addQuantizeOptions, type QuantizeOptions } from "./quantize-options.ts";
import { runConversion } from "./run-conversion.ts";
import { requestedQuantization } from "./shared-options.ts";

export function defineQuantize(command: Command, host: Host): void {
  command
    .usage("[options] <model> [output.gguf] <type> [threads]")
    .argument("<arguments...>", "model: GGUF file, or folder of a checkpoint; type: by name or number");
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
