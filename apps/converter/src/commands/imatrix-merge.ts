import { resolve } from "node:path";
import {
  checkImportance,
  type ImportanceFormat,
  mergeImportance,
  openImportanceFile,
  writeImportance,
} from "@quern/statistics";
import { type Command, Option } from "commander";
import { formatBytes } from "../format/bytes.ts";
import { formatInteger } from "../format/number.ts";
import { printable } from "../format/printable.ts";
import { formatFacts } from "../format/table.ts";
import { addManual } from "../help/manual.ts";
import type { Host } from "../host.ts";
import { writeJsonLine } from "../reporters/json.ts";
import { styleFor } from "../terminal.ts";
import { positiveArgument } from "./arguments.ts";
import { addAnswerOptions } from "./shared-options.ts";

interface MergeOptions {
  readonly output: string;
  readonly format?: ImportanceFormat;
  readonly chunkSize?: number;
  readonly force?: true;
  readonly json?: true;
}

export function defineImatrixMerge(command: Command, host: Host): void {
  addManual(command, {
    description: [
      "Refuses files of different models, damaged files and existing outputs. Holds one tensor at a time in memory.",
    ],
    examples: [
      { does: "Convert to the older format", run: "quern imatrix merge imatrix.gguf -o imatrix.dat" },
      { does: "Merge two", run: "quern imatrix merge imatrix.gguf imatrix.dat -o both.gguf" },
    ],
    seeAlso: ["imatrix", "imatrix show"],
  });
  command
    .argument("<files...>", "importance matrices of one model, in GGUF or the older format")
    .requiredOption("-o, --output <file>", "file to write")
    .addOption(
      new Option(
        "--format <format>",
        "gguf or dat, the older format (default: dat for names that end in .dat)",
      ).choices(["gguf", "dat"]),
    )
    .option(
      "--chunk-size <tokens>",
      "tokens of a chunk, as --ctx-size of llama-imatrix (default: that of the files where they agree, else 512)",
      positiveArgument,
    )
    .option("-f, --force", "replace a file that exists");
  addAnswerOptions(command, "what was written, as JSON on standard output").action(
    (paths: readonly string[], options: MergeOptions) => runMerge({ paths, options, host }),
  );
}

async function runMerge(params: {
  readonly paths: readonly string[];
  readonly options: MergeOptions;
  readonly host: Host;
}): Promise<void> {
  const { paths, options, host } = params;
  const { output, chunkSize, force = false } = options;
  const files = await Promise.all(
    paths.map((path) => openImportanceFile({ path: resolve(host.cwd, path), name: path })),
  );
  for (const file of files) {
    await checkImportance(file);
  }
  const importance = mergeImportance({ files, ...(chunkSize === undefined ? {} : { chunkSize }) });
  const format = options.format ?? (output.endsWith(".dat") ? "dat" : "gguf");
  const path = resolve(host.cwd, output);
  const written = await writeImportance({ importance, path, format, force });
  const { datasets, chunks } = importance;
  if (options.json) {
    writeJsonLine(host.stdout, { type: "result", format, datasets, chunks, ...written });
    return;
  }
  const leftOut = importance.entries.length - written.entries;
  host.stdout.write(
    formatFacts({
      facts: [
        ["file", `${printable(path)} (${formatBytes(written.bytes)})`],
        [
          "tensors",
          formatInteger(written.entries) + (leftOut === 0 ? "" : `, ${leftOut} without data left out`),
        ],
        ["chunks", `${formatInteger(chunks)} of ${formatInteger(importance.chunkSize)} tokens`],
        ["texts", datasets.length === 0 ? "not named" : datasets.map(printable).join(", ")],
      ],
      style: styleFor(host.stdout, host.env),
    }),
  );
}
