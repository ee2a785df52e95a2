import { resolve } from "node:path";
import type { Command } from "commander";
import { formatInspection } from "../format/inspection.ts";
import type { Host } from "../host.ts";
import { inspectPath } from "../inspection/inspect-path.ts";
import { type Inspection, typeHistogram } from "../inspection/inspection.ts";
import { writeJsonLine } from "../reporters/json.ts";
import { styleFor } from "../terminal.ts";

export function defineInspect(command: Command, host: Host): void {
  command
    .argument("<path>", "GGUF file, safetensors file, or folder of a checkpoint")
    .option("--full", "show long arrays and texts of the metadata whole")
    .option("--json", "as JSON on standard output")
    .action(async (path: string, options: { readonly full?: true; readonly json?: true }) => {
      const inspection = await inspectPath(resolve(host.cwd, path));
      const full = options.full === true;
      if (options.json) {
        writeJsonLine(host.stdout, inspectionRecord(inspection, full));
      } else {
        host.stdout.write(formatInspection({ inspection, full, style: styleFor(host.stdout, host.env) }));
      }
    });
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
