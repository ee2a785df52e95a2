import type { Command } from "commander";
import type { Host } from "../host.ts";
import { asksForCheckpoint } from "./checkpoint-options.ts";
import { addConvertOptions, type ConvertOptions, outputRequests } from "./convert-options.ts";
import { runCheckpoint } from "./run-checkpoint.ts";
import { runConversion } from "./run-conversion.ts";
import { MODEL_ARGUMENT } from "./open-named.ts";

export function registerConvert(program: Command, host: Host): void {
  const command = program
    .command("convert")
    .description(
      "Convert a Hugging Face checkpoint, or a GGUF file, to GGUF files, or to a quantized checkpoint.",
    )
    .argument("<model>", MODEL_ARGUMENT);
  addConvertOptions({ command, cwd: host.cwd }).action((model: string, options: ConvertOptions) =>
    asksForCheckpoint(command)
      ? runCheckpoint({ model, options, host })
      : runConversion({ model, ...outputRequests(options, host.cwd), options, host }),
  );
}
