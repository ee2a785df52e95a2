import { basename, join, resolve } from "node:path";
import { planGgufFileSplit } from "@quern/gguf/node";
import { QuernError } from "@quern/tensor";
import type { Command } from "commander";
import { addManual } from "../help/manual.ts";
import type { Host } from "../host.ts";
import { addCopyOptions, type CopyOptions, runCopy } from "./copy-messages.ts";
import { outputTarget } from "./output-target.ts";
import { addSplitOptions, type SplitOptions, splitRequest } from "./split-options.ts";

export function defineSplit(command: Command, host: Host): void {
  addManual(command, {
    description: ["Writes the bytes of llama-gguf-split --split. Needs --max-size or --max-tensors."],
    examples: [
      { does: "Files of at most 500 kB, beside the original", run: "quern split model.gguf --max-size 500K" },
      {
        does: "By number of tensors, into a folder",
        run: "quern split model.gguf out/ --max-tensors 16 --no-tensor-first-split",
      },
    ],
    seeAlso: ["merge", "convert"],
  });
  command
    .argument("<file>", "GGUF file, or any file of a split set")
    .argument(
      "[prefix]",
      "what the new files are called in front of -00001-of-00003.gguf, or a folder (default: the name of the file, beside it)",
    );
  addCopyOptions(addSplitOptions({ command, short: true })).action(
    async (file: string, prefix: string | undefined, options: SplitOptions & CopyOptions) => {
      const division = splitRequest(options);
      if (division === undefined) {
        throw new QuernError("USAGE_SPLIT", "Say how to split: --max-size 2G, or --max-tensors 128.");
      }
      const plan = await planGgufFileSplit({
        path: resolve(host.cwd, file),
        ...(prefix === undefined ? {} : { output: outputOf({ file, prefix, cwd: host.cwd }) }),
        division,
        force: options.force === true,
      });
      await runCopy({ plan, options, activity: "splitting", host });
    },
  );
}

function outputOf(params: { readonly file: string; readonly prefix: string; readonly cwd: string }): string {
  const target = outputTarget(params.prefix, params.cwd);
  return target.file ?? join(target.directory, basename(params.file));
}
