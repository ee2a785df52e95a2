import { resolve } from "node:path";
import type { Command } from "commander";
import { formatInspection } from "../format/inspection.ts";
import { HUB_VARIABLES } from "../help/environment.ts";
import { addManual } from "../help/manual.ts";
import type { Host } from "../host.ts";
import { inspectCheckpoint } from "../inspection/checkpoint.ts";
import { inspectPath } from "../inspection/inspect-path.ts";
import { type Inspection, typeHistogram } from "../inspection/inspection.ts";
import { writeJsonLine } from "../reporters/json.ts";
import { styleFor } from "../terminal.ts";
import { addHubOptions, type HubOptions } from "./hub-options.ts";
import { namesRepository, openNamedCheckpoint } from "./open-named.ts";
import type { MessageOptions } from "./run-reported.ts";
import { addAnswerOptions } from "./shared-options.ts";

export function defineInspect(command: Command, host: Host): void {
  addManual(command, {
    description: ["Only headers are read, so this is quick for models of any size, on disk or on the Hub."],
    examples: [
      { does: "A GGUF file", run: "quern inspect model.gguf" },
      { does: "A checkpoint on the Hub", run: "quern inspect hf:org/model" },
      { does: "As JSON, with long arrays", run: "quern inspect model.gguf --json --full" },
    ],
    environment: HUB_VARIABLES,
    seeAlso: ["edit", "types"],
  });
  command
    .argument(
      "<path>",
      "GGUF file, safetensors file, folder of a checkpoint, or repository of the Hub (hf:owner/name)",
    )
    .option("--full", "show long metadata arrays and texts in full");
  addHubOptions(command);
  addAnswerOptions(command).action(
    async (path: string, options: HubOptions & Partial<MessageOptions> & { readonly full?: true }) => {
      // The answer is all there is on standard output.
      const { json: _, ...opening } = options;
      const inspection = namesRepository(path, host)
        ? await inspectCheckpoint(await openNamedCheckpoint(path, host, opening))
        : await inspectPath(resolve(host.cwd, path));
      const full = options.full === true;
      if (options.json) {
        writeJsonLine(host.stdout, inspectionRecord(inspection, full));
      } else {
        host.stdout.write(formatInspection({ inspection, full, style: styleFor(host.stdout, host.env) }));
      }
    },
  );
}

/** Elements of an array that `--json` holds unless all are asked for: a vocabulary has hundreds of thousands. */
const arrayElements = 64;

function inspectionRecord(inspection: Inspection, full: boolean): Record<string, unknown> {
  const { format, files, facts, metadata, tensors } = inspection;
  return {
    format,
    files,
    facts: Object.fromEntries(facts),
    metadata: [...metadata].map(([key, entry]) => ({
      key,
      type: entry.type,
      ...(entry.length === undefined ? {} : { length: entry.length }),
      value: entry.value(full ? Number.POSITIVE_INFINITY : arrayElements),
    })),
    tensors,
    types: typeHistogram(tensors),
  };
}
