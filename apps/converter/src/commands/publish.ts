import type { Command } from "commander";
import { HUB_VARIABLES, KERNEL_VARIABLES, QUEUE_VARIABLES } from "../help/environment.ts";
import { addManual } from "../help/manual.ts";
import type { Host } from "../host.ts";
import { MODEL_ARGUMENT } from "./open-named.ts";
import { asksForCheckpoint } from "./checkpoint-options.ts";
import { addPublishOptions, type PublishOptions, SHARED_WITH_CHECKPOINTS } from "./publish-options.ts";

export function definePublish(command: Command, host: Host): void {
  addManual(command, {
    description: [
      "Makes the files that quern convert makes, and uploads each type in a commit of its own as soon as it is complete, together with a model card: types and sizes, how to run them, what they were made from.",
      "After a crash or an interruption the same command resumes: complete files are not made again, and what the Hub has received is not sent again. Progress is recorded in <owner>--<name>.publication.jsonl beside the files.",
      "In a README.md that exists already, only the part between the quern markers is replaced, or added at the end. The token (HF_TOKEN or the token file) needs write access.",
    ],
    examples: [
      {
        does: "Show what would be done",
        run: "quern publish hf:org/model -t Q4_K_M,Q8_0 --repo me/model-GGUF --dry-run",
      },
      { does: "Two types", run: "quern publish hf:org/model -t Q4_K_M,Q8_0 --repo me/model-GGUF" },
      {
        does: "From a folder, one type at a time, each deleted here once it is published",
        run: "quern publish model --base-model org/model -t Q6_K,Q5_K_M --repo me/small-GGUF --delete-local",
      },
      {
        does: "As a pull request, with the figures of an evaluation in the card",
        run: "quern publish hf:org/model -t Q8_0 --repo me/other-GGUF --pr --report-file evaluation.json",
      },
      {
        does: "With divergence and perplexity of each file in the card",
        run: "quern publish hf:org/model -t Q4_K_M,Q8_0 --repo me/measured-GGUF --eval texts.txt --context 128",
      },
      {
        does: "A checkpoint for vLLM and transformers",
        run: "quern publish hf:org/model --to compressed-tensors --recipe w8a8 --repo me/model-W8A8",
      },
    ],
    environment: [...HUB_VARIABLES, ...KERNEL_VARIABLES, ...QUEUE_VARIABLES],
    exitCodes: {
      4: "output problem: disk full, folder not writable, files of another publication in the way, upload not confirmed",
    },
    seeAlso: ["convert", "worker", "eval", "types"],
  });
  command.argument("<model>", MODEL_ARGUMENT);
  addPublishOptions({ command, cwd: host.cwd }).action(async (model: string, options: PublishOptions) => {
    const asCheckpoint = asksForCheckpoint(command, SHARED_WITH_CHECKPOINTS);
    const { runPublish } = await import("./run-publish.ts");
    await runPublish({ model, options, host, asCheckpoint });
  });
}
