import { copyGguf, type GgufCopyPlan, type GgufCopyReport } from "@quern/gguf/node";
import type { Command } from "commander";
import { formatCopyPlan } from "../format/copy.ts";
import { formatBytes } from "../format/bytes.ts";
import { formatDuration } from "../format/duration.ts";
import type { Host } from "../host.ts";
import { writeJsonLine } from "../reporters/json.ts";
import { measuredInBytes } from "../reporters/measure.ts";
import { styleFor } from "../terminal.ts";
import { type MessageOptions, reporterName, runReported } from "./run-reported.ts";
import { addMessageOptions } from "./shared-options.ts";
import { writeWarnings } from "./warnings.ts";

/** Options of commands that copy tensors from files to files. */
export interface CopyOptions extends MessageOptions {
  readonly force?: true;
  readonly dryRun?: true;
}

/** Declares {@link CopyOptions}. @param force What `--force` does. */
export function addCopyOptions(command: Command, force = "replace output files that exist"): Command {
  return addMessageOptions(
    command
      .option("-f, --force", force)
      .option("-n, --dry-run", "show what would be written, and write nothing"),
  );
}

/** Carries out a plan, or shows it. */
export async function runCopy(params: {
  readonly plan: GgufCopyPlan;
  readonly options: CopyOptions;
  /** "splitting" */
  readonly activity: string;
  readonly host: Host;
}): Promise<void> {
  const { plan, options, activity, host } = params;
  if (!options.quiet) {
    writeWarnings(plan.warnings, host);
  }
  if (options.json) {
    writeJsonLine(host.stdout, copyRecord(plan));
  }
  if (options.dryRun) {
    if (!options.json) {
      host.stdout.write(formatCopyPlan({ plan, style: styleFor(host.stdout, host.env) }));
    }
    return;
  }
  const report = await runReported({
    host,
    reporter: reporterName(options),
    activity,
    measure: measuredInBytes(plan.bytes),
    run: (runOptions) => copyGguf(plan, runOptions),
  });
  if (options.json) {
    writeJsonLine(host.stdout, { type: "result", ...report });
  } else {
    host.stdout.write(
      `${formatCopyPlan({ plan, style: styleFor(host.stdout, host.env) })}\n${summary(report)}\n`,
    );
  }
}

function summary({ bytes, seconds }: GgufCopyReport): string {
  return `${formatBytes(bytes)} in ${formatDuration(seconds * 1000)}`;
}

/** A plan as `--json` reports it. */
export function copyRecord({ sources, files, bytes, warnings }: GgufCopyPlan): Record<string, unknown> {
  return {
    type: "plan",
    sources,
    bytes,
    warnings: warnings.map(({ code, message, subject }) => ({ code, message, subject })),
    files: files.map(({ path, fileSize, tensors, replaces }) => ({ path, fileSize, tensors, replaces })),
  };
}
