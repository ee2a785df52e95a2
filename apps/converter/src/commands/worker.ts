import type { Command } from "commander";
import { HUB_VARIABLES, KERNEL_VARIABLES, QUEUE_VARIABLES } from "../help/environment.ts";
import { addManual } from "../help/manual.ts";
import type { Host } from "../host.ts";
import { addQueueOptions, QUEUE_ADDRESS, secondsArgument } from "./queue-options.ts";
import type { WorkerOptions } from "./run-worker.ts";
import { addAnswerOptions, addResourceOptions } from "./shared-options.ts";

export function defineWorker(command: Command, host: Host): void {
  addManual(command, {
    description: [
      "Takes part in conversions that quern convert --queue posts to a Redis, of GGUF files and of checkpoints. The Redis only names sources and files: weights are read from the Hub or from storage shared by the machines, and the results are written to shared storage.",
      "A worker makes the plan of a run for itself, and refuses a run for which it would write other bytes, such as with another version of the program, another source, or, where layers are rounded by statistics, other kernels. If a worker dies, others repeat what it was working on.",
      "After Ctrl-C it finishes what it is working on; a second Ctrl-C ends it at once.",
    ],
    examples: [
      {
        does: "Until it is stopped, or has had no work for a second",
        run: "quern worker --queue redis://localhost --idle 1",
      },
      {
        does: "With the shared folder at a path of its own",
        run: "quern worker --queue redis://localhost --root . -j 4 --idle 1",
      },
    ],
    environment: [...QUEUE_VARIABLES, ...HUB_VARIABLES, ...KERNEL_VARIABLES],
    exitCodes: { 0: "stopped by a signal, or by --idle" },
    seeAlso: ["convert"],
  });
  command
    .requiredOption("--queue <address>", `Redis to work for: ${QUEUE_ADDRESS}`)
    .option("--idle <seconds>", "exit after so many seconds without work (default: never)", secondsArgument);
  addAnswerOptions(
    addResourceOptions(addQueueOptions(command)),
    "events as JSON lines on standard output",
  ).action(async (options: WorkerOptions) => {
    const { runWorker } = await import("./run-worker.ts");
    await runWorker({ options, host });
  });
}
