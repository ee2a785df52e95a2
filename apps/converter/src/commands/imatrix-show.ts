import { resolve } from "node:path";
import {
  examineImportance,
  type ImportanceExamination,
  type ImportanceFile,
  importanceStatistics,
  type ImportanceStatistics,
  layerStatistics,
  openImportanceFile,
} from "@quern/statistics";
import type { Command } from "commander";
import { formatImportance } from "../format/importance.ts";
import { addManual } from "../help/manual.ts";
import type { Host } from "../host.ts";
import { writeJsonLine } from "../reporters/json.ts";
import { styleFor } from "../terminal.ts";
import { addAnswerOptions } from "./shared-options.ts";

/** What is known of one tensor; without inputs there are no statistics. */
export interface ShownTensor {
  readonly examination: ImportanceExamination;
  readonly statistics?: ImportanceStatistics;
}

export function defineImatrixShow(command: Command, host: Host): void {
  addManual(command, {
    description: [
      "The last column tells what is missing or wrong: experts that no token was routed to, columns that only saw zeros, invalid numbers.",
    ],
    examples: [
      { does: "A table", run: "quern imatrix show imatrix.gguf" },
      { does: "As JSON", run: "quern imatrix show imatrix.gguf --json" },
    ],
    seeAlso: ["imatrix", "imatrix merge"],
  });
  command.argument("<file>", "importance matrix, in GGUF or its older format, or a statistics file");
  addAnswerOptions(command).action(async (path: string, options: { readonly json?: true }) => {
    const file = await openImportanceFile({ path: resolve(host.cwd, path), name: path });
    const tensors = await shownTensors(file);
    if (options.json) {
      writeJsonLine(host.stdout, importanceRecord(file, tensors));
    } else {
      host.stdout.write(formatImportance({ file, tensors, style: styleFor(host.stdout, host.env) }));
    }
  });
}

/** Tensors by kind, those of a kind with the largest activations first; at the end those without any. */
async function shownTensors(file: ImportanceFile): Promise<ShownTensor[]> {
  const examinations = new Map((await examineImportance(file)).map((one) => [one.name, one]));
  const shown = (await importanceStatistics(file)).map((statistics): ShownTensor => {
    return { examination: examinations.get(statistics.name)!, statistics };
  });
  const withStatistics = new Set(shown.map(({ examination }) => examination));
  const rest = [...examinations.values()].filter((examination) => !withStatistics.has(examination));
  return [...shown, ...rest.map((examination): ShownTensor => ({ examination }))];
}

function importanceRecord(file: ImportanceFile, tensors: readonly ShownTensor[]): Record<string, unknown> {
  const { name, format, datasets, chunks, chunkSize } = file;
  return {
    file: name,
    format,
    datasets,
    chunks,
    chunkSize,
    tensors: tensors.map(({ examination, statistics }) => ({ ...examination, ...statistics })),
    layers: layerStatistics(tensors.flatMap(({ statistics }) => statistics ?? [])),
  };
}
