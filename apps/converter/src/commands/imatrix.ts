import type { Command } from "commander";
import { HUB_VARIABLES, KERNEL_VARIABLES } from "../help/environment.ts";
import { addManual } from "../help/manual.ts";
import type { Host } from "../host.ts";
import { addLazyCommands, type LazyCommand } from "../lazy-commands.ts";

const COMMANDS: readonly LazyCommand[] = [
  {
    name: "compute",
    description:
      'Run a model on texts, and write an importance matrix as llama-imatrix does; "compute" may be left out.',
    isDefault: true,
    load: async () => (await import("./imatrix-compute.ts")).defineImatrixCompute,
  },
  {
    name: "show",
    description:
      "Show what is in an importance matrix: the figures of llama-imatrix --show-statistics, and gaps.",
    load: async () => (await import("./imatrix-show.ts")).defineImatrixShow,
  },
  {
    name: "merge",
    description:
      "Add importance matrices up, as llama-imatrix --in-file A --in-file B does; of one, change the format.",
    load: async () => (await import("./imatrix-merge.ts")).defineImatrixMerge,
  },
];

export function defineImatrix(command: Command, host: Host): void {
  addManual(command, {
    examples: [
      { does: "Compute one", run: "quern imatrix model -f texts.txt -c 128 --chunks 4 -o mine.gguf" },
      { does: "Show what is in it", run: "quern imatrix show mine.gguf" },
      { does: "Merge two", run: "quern imatrix merge mine.gguf imatrix.gguf -o both.gguf" },
    ],
    environment: [...HUB_VARIABLES, ...KERNEL_VARIABLES],
    seeAlso: ["quantize", "convert", "calibrate"],
  });
  addLazyCommands({ parent: command, commands: COMMANDS, host });
}
