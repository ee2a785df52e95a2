import { resolve } from "node:path";
import { openModel } from "@quern/checkpoints/node";
import { type ConversionPlan, convert, type OutputRequest, planConversion } from "@quern/pipeline";
import { type Importance, readImportance, selectImportance } from "@quern/statistics";
import { loadKernels } from "@quern/kernels";
import { QuernError } from "@quern/tensor";
import { formatPlanSummary, formatPlanTensors } from "../format/plan.ts";
import { formatReport } from "../format/report.ts";
import type { Host } from "../host.ts";
import { reportPaths, reportTarget } from "../report/report-target.ts";
import { writeJsonLine } from "../reporters/json.ts";
import { measuredInBytes } from "../reporters/measure.ts";
import { styleFor } from "../terminal.ts";
import { planRecord } from "./plan-record.ts";
import { type MessageOptions, reporterName, runReported } from "./run-reported.ts";
import type { ModelOptions, QuantizationOptions, ResourceOptions } from "./shared-options.ts";
import type { SplitOptions } from "./split-options.ts";
import { writeWarnings } from "./warnings.ts";

/** Options of every command that writes models. */
export interface RunOptions
  extends QuantizationOptions, ModelOptions, SplitOptions, ResourceOptions, MessageOptions {
  readonly force?: true;
  readonly dryRun?: true;
  /** File, as the user gave it. */
  readonly report?: string;
}

interface RunParams {
  /** Folder of a checkpoint, or GGUF file, as the user gave it. */
  readonly model: string;
  readonly outputs: readonly OutputRequest[];
  /** Folder for outputs without a path. */
  readonly directory: string;
  readonly options: RunOptions;
  readonly host: Host;
}

/** Plans a conversion and runs it, or with `--dry-run` shows the plan. */
export async function runConversion(params: RunParams): Promise<void> {
  const { options, host } = params;
  const target = options.report === undefined ? undefined : reportTarget(options.report, host.cwd);
  const reportFiles = target === undefined ? [] : reportPaths(target);
  const plan = await makePlan(params, reportFiles);
  const { info } = await loadKernels({ backend: plan.backend });
  const kernels = `${info.backend} ${info.isa}`;
  if (!options.quiet) {
    writeWarnings(plan.warnings, host);
  }
  if (options.json) {
    writeJsonLine(host.stdout, planRecord(plan));
  }
  if (options.dryRun) {
    if (!options.json) {
      const style = styleFor(host.stdout, host.env);
      host.stdout.write(
        `${formatPlanTensors({ plan, style })}\n${formatPlanSummary({ plan, kernels, style })}`,
      );
    }
    return;
  }
  if (!options.json && !options.quiet) {
    host.stderr.write(`${formatPlanSummary({ plan, kernels, style: styleFor(host.stderr, host.env) })}\n`);
  }
  const report = await runReported({
    host,
    reporter: reporterName(options),
    activity: "converting",
    measure: measuredInBytes(plan.sourceBytes),
    run: (runOptions) => convert(plan, runOptions),
  });
  if (target !== undefined) {
    const { writeConversionReport } = await import("../report/write-conversion-report.ts");
    await writeConversionReport({ plan, report, options, target });
  }
  const peakMemory = process.resourceUsage().maxRSS * 1024;
  if (options.json) {
    writeJsonLine(host.stdout, { type: "result", ...report, reportFiles, peakMemory });
  } else {
    const style = styleFor(host.stdout, host.env);
    host.stdout.write(formatReport({ plan, report, reportFiles, peakMemory, style }));
  }
}

/** @param reportFiles Files of the report that is going to be written. */
async function makePlan(
  { model, outputs, directory, options, host }: RunParams,
  reportFiles: readonly string[],
): Promise<ConversionPlan> {
  const importance = await importanceOf(options, host);
  return planConversion({
    checkpoint: await openModel(resolve(host.cwd, model)),
    outputs,
    directory,
    force: options.force === true,
    measureErrors: reportFiles.length > 0,
    companions: reportFiles,
    ...(importance === undefined ? {} : { importance }),
    ...(options.pre === undefined ? {} : { preTokenizer: options.pre }),
    ...(options.memory === undefined ? {} : { memory: options.memory }),
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    ...(options.kernels === undefined ? {} : { backend: options.kernels }),
  });
}

async function importanceOf(options: QuantizationOptions, { cwd }: Host): Promise<Importance | undefined> {
  const { imatrix, includeWeights: include, excludeWeights: exclude } = options;
  if (imatrix === undefined) {
    if (include === undefined && exclude === undefined) return undefined;
    throw new QuernError(
      "USAGE_IMATRIX",
      "--include-weights and --exclude-weights choose from --imatrix: expected it, too.",
    );
  }
  // The path goes into the metadata of the files, as the user wrote it.
  const importance = await readImportance(resolve(cwd, imatrix), { name: imatrix });
  return selectImportance(importance, {
    ...(include === undefined ? {} : { include }),
    ...(exclude === undefined ? {} : { exclude }),
  });
}
