import type { Command } from "commander";
import { HUB_VARIABLES, KERNEL_VARIABLES, QUEUE_VARIABLES } from "../help/environment.ts";
import { addManual } from "../help/manual.ts";
import type { Host } from "../host.ts";
import { asksForCheckpoint } from "./checkpoint-options.ts";
import { addConvertOptions, type ConvertOptions, outputRequests } from "./convert-options.ts";
import type { QueuedOptions } from "./by-queue.ts";
import { addQueuedOptions, queuedCheckpoint, queuedConversion } from "./queue-options.ts";
import type { WriteCheckpoint } from "./run-checkpoint.ts";
import { type ConvertPlan, runConversion } from "./run-conversion.ts";
import { MODEL_ARGUMENT } from "./open-named.ts";

export function defineConvert(command: Command, host: Host): void {
  addManual(command, {
    description: [
      "Every weight is read once: several types are written in one pass over the checkpoint, without an intermediate file. Names, shapes, types, disk space and memory are checked before any weight is read; --dry-run, or quern plan, shows that plan and stops.",
      "GGUF files are byte for byte those of llama.cpp's convert_hf_to_gguf.py and llama-quantize, on every machine. With --to or --recipe the result is a quantized checkpoint in safetensors, for vLLM, transformers and others.",
      "Until a file is complete and on disk it is called <file>.partial. After an interruption or a crash, the same command resumes where it stopped.",
    ],
    examples: [
      { does: "The default type, Q4_K_M", run: "quern convert model" },
      { does: "Two types, one pass", run: "quern convert model -t Q5_K_M,Q8_0 -o out/" },
      { does: "From the Hub, without a download", run: "quern convert hf:org/model -t Q8_0 -o hub.gguf" },
      { does: "With an importance matrix", run: "quern convert model -t IQ4_XS --imatrix imatrix.gguf" },
      { does: "Files of at most 2 GB", run: "quern convert model -t BF16 --split-max-size 2G -o parts/" },
      {
        does: "Better rounding, and a report of the errors",
        run: "quern convert model --rounding gptq --statistics statistics.safetensors -o gptq.gguf --report report.html",
      },
      {
        does: "A checkpoint for vLLM",
        run: "quern convert model --to gptq --statistics statistics.safetensors",
      },
      {
        does: "With the help of all machines that run quern worker",
        run: "quern convert model -t Q6_K -o shared.gguf --queue redis://localhost",
      },
      {
        does: "A checkpoint for MLX, without calibration data",
        run: "quern convert model --to mlx --bits 3 -o model-3bit",
      },
    ],
    environment: [...HUB_VARIABLES, ...KERNEL_VARIABLES, ...QUEUE_VARIABLES],
    seeAlso: ["plan", "worker", "quantize", "calibrate", "imatrix", "recipes", "types", "models"],
  });
  command
    .argument("<model>", MODEL_ARGUMENT)
    .option("-n, --dry-run", "show the whole plan, tensor by tensor, and write nothing (same as quern plan)");
  addQueuedOptions(addConvertOptions({ command, cwd: host.cwd })).action(
    (model: string, options: ConvertOptions & QueuedOptions) => runConvert({ command, model, options, host }),
  );
}

/** Converts a model, or shows the plan: GGUF files or a quantized checkpoint, as the options of the command say. */
export async function runConvert(params: {
  readonly command: Command;
  readonly model: string;
  readonly options: ConvertOptions & Partial<QueuedOptions>;
  readonly host: Host;
}): Promise<void> {
  const { command, model, options, host } = params;
  if (asksForCheckpoint(command)) {
    const byQueue = await queuedCheckpoint({ model, options, host });
    const { runCheckpoint } = await import("./run-checkpoint.ts");
    const write: WriteCheckpoint | undefined =
      byQueue && ((plan, run) => byQueue(plan, { ...run, onQueueEvent: run.onEvent }));
    await runCheckpoint({ model, options, host, ...(write && { write }) });
  } else {
    const { outputs, directory } = outputRequests(options, host.cwd);
    const request = { model, directory, options, host };
    const byQueue = await queuedConversion(request);
    const convertPlan: ConvertPlan | undefined =
      byQueue && ((plan, run) => byQueue(plan, outputs, { ...run, onQueueEvent: run.onEvent }));
    await runConversion({ ...request, outputs, ...(convertPlan && { convertPlan }) });
  }
}
