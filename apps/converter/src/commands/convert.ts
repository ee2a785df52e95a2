import type { Command } from "commander";
import type { Host } from "../host.ts";
import { asksForCheckpoint } from "./checkpoint-options.ts";
import { addConvertOptions, type ConvertOptions, outputRequests } from "./convert-options.ts";
import { runCheckpoint } from "./run-checkpoint.ts";
import { runConversion } from "./run-conversion.ts";

export function registerConvert(program: Command, host: Host): void {
  const command = program
    .command("convert")
    .description(
      "Convert a Hugging Face checkpoint, or a GGUF file, to GGUF files, or to a quantized checkpoint.",
    )
    .argument(
      "<model>",
      "folder with config.json, tokenizer and *.safetensors; or a GGUF file (any one of a split set)",
    );
  addConvertOptions({ command, cwd: host.cwd }).action((model: string, options: ConvertOptions) =>
    asksForCheckpoint(command)
      ? runCheckpoint({ model, options, host })
      : runConversion({ model, ...outputRequests(options, host.cwd), options, host }),
  );
}
