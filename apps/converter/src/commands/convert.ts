import type { Command } from "commander";
import type { Host } from "../host.ts";
import { asksForCheckpoint } from "./checkpoint-options.ts";
import { addConvertOptions, type ConvertOptions, outputRequests } from "./convert-options.ts";
import { runConversion } from "./run-conversion.ts";

export function defineConvert(command: Command, host: Host): void {
  command.argument(
    "<model>",
    "folder with config.json, tokenizer and *.safetensors; or a GGUF file (any one of a split set)",
  );
  addConvertOptions({ command, cwd: host.cwd }).action(async (model: string, options: ConvertOptions) => {
    if (asksForCheckpoint(command)) {
      const { runCheckpoint } = await import("./run-checkpoint.ts");
      await runCheckpoint({ model, options, host });
    } else {
      await runConversion({ model, ...outputRequests(options, host.cwd), options, host });
    }
  });
}
