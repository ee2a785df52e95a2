import type { Command } from "commander";
import { HUB_VARIABLES, KERNEL_VARIABLES } from "../help/environment.ts";
import { addManual } from "../help/manual.ts";
import type { Host } from "../host.ts";
import { runConvert } from "./convert.ts";
import { addConvertOptions, type ConvertOptions } from "./convert-options.ts";
import { MODEL_ARGUMENT } from "./open-named.ts";

export function definePlan(command: Command, host: Host): void {
  addManual(command, {
    description: [
      "The same as quern convert --dry-run, with the same options. Lists every tensor with its type and size, and estimates time and memory. Whatever would stop a conversion before it reads weights stops the plan, too.",
    ],
    examples: [
      { does: "Types and sizes of all tensors", run: "quern plan model -t Q2_K" },
      { does: "Several types, as JSON", run: "quern plan model -t Q4_K_M,Q8_0 --json" },
      {
        does: "Could vLLM load this checkpoint?",
        run: "quern plan model --recipe rtn-w4-g128 --compat vllm",
      },
    ],
    environment: [...HUB_VARIABLES, ...KERNEL_VARIABLES],
    seeAlso: ["convert", "recipes", "types"],
  });
  command.argument("<model>", MODEL_ARGUMENT);
  addConvertOptions({ command, cwd: host.cwd }).action((model: string, options: ConvertOptions) =>
    runConvert({ command, model, options: { ...options, dryRun: true }, host }),
  );
}
