import { resolve } from "node:path";
import { type ReportContents, reportJson, reportPage } from "@quern/reports";
import { QuernError } from "@quern/tensor";
import { checkOutputPlaces } from "@quern/tensor/node";
import type { Command } from "commander";
import { printable } from "../format/printable.ts";
import { addManual } from "../help/manual.ts";
import type { Host } from "../host.ts";
import { writeJsonLine } from "../reporters/json.ts";
import { readReportFile } from "../report/read-report-file.ts";
import { reportTarget } from "../report/report-target.ts";
import { writeTexts } from "../report/write-report.ts";
import { addAnswerOptions } from "./shared-options.ts";

interface ReportOptions {
  readonly output: string;
  readonly force?: true;
  readonly json?: true;
}

export function defineReport(command: Command, host: Host): void {
  addManual(command, {
    description: [
      "The page is a single file without scripts, and works offline: errors by type, layer and role, size against error, and divergences of an evaluation.",
    ],
    examples: [
      { does: "One page of both", run: "quern report conversion.json evaluation.json -o both.html" },
      { does: "All figures in one file", run: "quern report conversion.json evaluation.json -o both.json" },
    ],
    seeAlso: ["convert", "eval"],
  });
  command
    .argument("<files...>", "JSON files written by --report")
    .requiredOption("-o, --output <path>", "page to write (.html), or all figures in one file (.json)")
    .option("-f, --force", "replace a file that exists");
  addAnswerOptions(command, "the result as a JSON line on standard output").action(
    (files: readonly string[], options: ReportOptions) => runReport({ files, options, host }),
  );
}

async function runReport(params: {
  readonly files: readonly string[];
  readonly options: ReportOptions;
  readonly host: Host;
}): Promise<void> {
  const { options, host } = params;
  const force = options.force === true;
  const files = params.files.map((file) => resolve(host.cwd, file));
  const { page, json } = reportTarget(options.output, host.cwd);
  const path = page ?? json;
  await checkOutputPlaces({ places: [{ path, fileSize: 0 }], sources: files, force });
  const contents = combine(
    await Promise.all(files.map(async (file) => ({ file, contents: await readReportFile(file) }))),
  );
  const text = page === undefined ? reportJson(contents) : reportPage(contents);
  await writeTexts({ files: [{ path, text }], force });
  if (options.json) {
    writeJsonLine(host.stdout, { type: "result", path, bytes: Buffer.byteLength(text) });
  } else {
    host.stdout.write(`${printable(path)}\n`);
  }
}

/** @throws QuernError `REPORT_EMPTY` for nothing to show, `REPORT_TWICE` for two of a kind */
function combine(
  reports: readonly { readonly file: string; readonly contents: ReportContents }[],
): ReportContents {
  const one = <Kind extends keyof ReportContents>(kind: Kind): Pick<ReportContents, Kind> => {
    const [first, second] = reports.filter(({ contents }) => contents[kind] !== undefined);
    if (second !== undefined) {
      throw new QuernError(
        "REPORT_TWICE",
        `${second.file} holds a second ${kind} beside that of ${first!.file}: a page shows one.`,
        { subject: { file: second.file } },
      );
    }
    return first?.contents ?? {};
  };
  const { conversion } = one("conversion");
  const { evaluation } = one("evaluation");
  if (conversion === undefined && evaluation === undefined) {
    throw new QuernError(
      "REPORT_EMPTY",
      `${reports[0]!.file} holds neither a conversion nor an evaluation.`,
      {
        subject: { file: reports[0]!.file },
      },
    );
  }
  return {
    ...(conversion === undefined ? {} : { conversion }),
    ...(evaluation === undefined ? {} : { evaluation }),
  };
}
