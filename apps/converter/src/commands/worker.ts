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
      "Takes part in the conversions that quern convert --queue puts into a Redis. The source of the weights and the files that are written are named there, and nothing else: weights are read from the Hub or from storage that the machines share, and rows are written into the files there.",
      "A worker makes the plan of a run by itself, and refuses where it would come to other bytes: another version of the program, another source. A worker that dies loses nothing; others do again what it had in hand.",
      "Ctrl-C lets it finish what it has in hand; a second time ends it at once.",
    ],
    examples: [
      {
        does: "Until it is stopped, or nothing came for a second",
        run: "quern worker --queue redis://localhost --idle 1",
      },
      {
        does: "Where the shared folder has another place",
        run: "quern worker --queue redis://localhost --root . -j 4 --idle 1",
      },
    ],
    environment: [...QUEUE_VARIABLES, ...HUB_VARIABLES, ...KERNEL_VARIABLES],
    seeAlso: ["convert"],
  });
  command
    .requiredOption("--queue <address>", `Redis to work for: ${QUEUE_ADDRESS}`)
    .option(
      "--idle <seconds>",
      "leave when there has been no work for so long (default: never)",
      secondsArgument,
    );
  addAnswerOptions(
    addResourceOptions(addQueueOptions(command)),
    "events as JSON lines on standard output",
  ).action(async (options: WorkerOptions) => {
    const { runWorker } = await import("./run-worker.ts");
    await runWorker({ options, host });
  });
}
