import {
  calibrate,
  type CalibrationPlan,
  type CalibrationReport,
  collectCalibrationWindows,
  planCalibration,
} from "@quern/calibration";
import type { WeightedFile, WindowRule } from "@quern/corpus";
import { openRunnable } from "@quern/inference";
import { loadKernels } from "@quern/kernels";
import type { ModelSource } from "@quern/pipeline";
import { formatCalibrationPlan, formatCalibrationReport, rareExpertWarnings } from "../format/calibration.ts";
import type { Host } from "../host.ts";
import { writeJsonLine } from "../reporters/json.ts";
import { measuredInTokens } from "../reporters/measure.ts";
import { styleFor } from "../terminal.ts";
import { tool } from "../version.ts";
import { calibrationPlanRecord } from "./calibration-plan-record.ts";
import { openModelText, openTexts } from "./model-text.ts";
import { type HubOptions, keepModel } from "./hub-options.ts";
import { openNamedModel } from "./open-named.ts";
import { type MessageOptions, reporterName, runReported } from "./run-reported.ts";
import type { ResourceOptions } from "./shared-options.ts";
import { writeWarnings } from "./warnings.ts";

interface RunCalibrationParams {
  /** As the user gave it. */
  readonly model: string;
  readonly text: {
    /** Default: the bundled ones. */
    readonly files: readonly WeightedFile[] | undefined;
    readonly rule: WindowRule;
    /** Default: all. */
    readonly tokens: number | undefined;
    /** Every how many-th window is kept apart; 0: none. */
    readonly holdOut: number;
    /** Whose tokenizer reads it. */
    readonly as: "original" | "llama.cpp";
  };
  readonly hessians: boolean;
  /** Windows of which the inputs of attention are stored whole. @default 0 */
  readonly keepWindows?: number;
  /** Path of the statistics file for a model of this name. */
  readonly outputOf: (name: string) => string;
  readonly options: ResourceOptions &
    MessageOptions &
    HubOptions & { readonly force?: true; readonly restart?: true; readonly dryRun?: true };
  readonly host: Host;
  /** What is made of the statistics, which are removed then. Default: they are what is wanted. */
  readonly result?: {
    readonly path: string;
    make(plan: CalibrationPlan): Promise<FinishedFile>;
  };
}

/** What is left in the end. */
interface FinishedFile {
  readonly path: string;
  readonly bytes: number;
}

/** Plans a calibration and runs it, or with `--dry-run` shows the plan. */
export async function runCalibration(params: RunCalibrationParams): Promise<void> {
  const { options, host, result } = params;
  const { plan, source } = await makePlan(params);
  const { info } = await loadKernels(plan.backend === undefined ? {} : { backend: plan.backend });
  const kernels = `${info.backend} ${info.isa}`;
  if (!options.quiet) writeWarnings(plan.warnings, host);
  if (options.json) writeJsonLine(host.stdout, calibrationPlanRecord(plan));
  const shown = options.dryRun ? host.stdout : host.stderr;
  if (!options.json && (options.dryRun || !options.quiet)) {
    const text = formatCalibrationPlan({
      plan,
      source,
      kernels,
      style: styleFor(shown, host.env),
      ...(result && { result: result.path }),
    });
    shown.write(options.dryRun ? text : `${text}\n`);
  }
  if (options.dryRun) return;
  await keepModel({ source, options, host });
  const report = await runReported({
    host,
    reporter: reporterName(options),
    activity: "calibrating on",
    measure: measuredInTokens(plan.tokens),
    interrupted: "the same command goes on behind the last block that is complete",
    run: ({ signal, onEvent }) =>
      calibrate(plan, {
        signal,
        onEvent: (event) => {
          // Nobody needs to hear of a file that will be gone.
          if (result === undefined || event.type !== "output:done") onEvent(event);
        },
      }),
  });
  const written = (await result?.make(plan)) ?? { path: report.path, bytes: report.bytes };
  await tell({ report: { ...report, ...written }, options, host });
}

async function tell(params: {
  readonly report: CalibrationReport;
  readonly options: RunCalibrationParams["options"];
  readonly host: Host;
}): Promise<void> {
  const { report, options, host } = params;
  const peakMemory = process.resourceUsage().maxRSS * 1024;
  if (!options.quiet) writeWarnings(rareExpertWarnings(report), host);
  if (options.json) writeJsonLine(host.stdout, { type: "result", ...report, peakMemory });
  else
    host.stdout.write(
      formatCalibrationReport({ report, peakMemory, style: styleFor(host.stdout, host.env) }),
    );
}

async function makePlan(
  params: RunCalibrationParams,
): Promise<{ readonly plan: CalibrationPlan; readonly source: ModelSource }> {
  const { text, hessians, keepWindows = 0, outputOf, options, host } = params;
  const source = await openNamedModel(params.model, host, options);
  const model = await openRunnable(source);
  const { tokenizer, chatTemplate } = await openModelText({ source, as: text.as });
  const texts = await openTexts({ files: text.files, chatTemplate, host });
  try {
    const { rule, tokens, holdOut } = text;
    const { sources } = texts;
    const windows = await collectCalibrationWindows({
      model,
      sources,
      tokenizer,
      rule,
      holdOut,
      ...(tokens === undefined ? {} : { tokens }),
    });
    const plan = await planCalibration({
      model,
      windows,
      hessians,
      keepWindows,
      tool,
      output: outputOf(source.name),
      force: options.force === true,
      restart: options.restart === true,
      ...(options.memory === undefined ? {} : { memory: options.memory }),
      ...(options.threads === undefined ? {} : { threads: options.threads }),
      ...(options.kernels === undefined ? {} : { backend: options.kernels }),
    });
    return { plan, source };
  } finally {
    await texts.close();
  }
}
