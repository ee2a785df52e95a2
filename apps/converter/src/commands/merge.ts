import { resolve } from "node:path";
import { planGgufFileMerge } from "@quern/gguf/node";
import type { Command } from "commander";
import { addManual } from "../help/manual.ts";
import type { Host } from "../host.ts";
import { addCopyOptions, type CopyOptions, runCopy } from "./copy-messages.ts";

export function defineMerge(command: Command, host: Host): void {
  addManual(command, {
    description: [
      "Writes the bytes of llama-gguf-split --merge; with --no-split-keys, those of the file that was split.",
    ],
    examples: [
      { does: "A split set", run: "quern split model.gguf part --max-tensors 16" },
      { does: "Join it again", run: "quern merge part-00001-of-00002.gguf whole.gguf --no-split-keys" },
    ],
    seeAlso: ["split"],
  });
  command
    .argument("<file>", "any file of the set; the others lie beside it")
    .argument("<output>", "GGUF file to write")
    .option(
      "--no-split-keys",
      "leave out the split keys, which llama-gguf-split keeps: what was split becomes what it was",
    );
  addCopyOptions(command).action(
    async (file: string, output: string, options: CopyOptions & { readonly splitKeys: boolean }) => {
      const plan = await planGgufFileMerge({
        path: resolve(host.cwd, file),
        output: resolve(host.cwd, output),
        dropSplitKeys: !options.splitKeys,
        force: options.force === true,
      });
      await runCopy({ plan, options, activity: "merging", host });
    },
  );
}
