import { basename, resolve } from "node:path";
import type { SequentialPlan } from "@quern/calibration";
import {
  type ConversionPlan,
  type ConversionReport,
  convert,
  type ModelSource,
  type OutputRequest,
  planConversion,
  type PlanParams,
} from "@quern/pipeline";
import { type Importance, readImportance, selectImportance } from "@quern/statistics";
import { QuernError } from "@quern/tensor";
import { formatPlanSummary, formatPlanTensors } from "../format/plan.ts";
import { formatReport } from "../format/report.ts";
import type { Host } from "../host.ts";
import { type ReportTarget, reportPaths, reportTarget } from "../report/report-target.ts";
import { writeJsonLine } from "../reporters/json.ts";
import { measuredInBytes } from "../reporters/measure.ts";
import type { WorkEvent } from "../reporters/reporter.ts";
import { styleFor } from "../terminal.ts";
import { tool } from "../version.ts";
import { type LayerInputs, openLayerInputs } from "./layer-inputs.ts";
import { type HubOptions, keepModel } from "./hub-options.ts";
import { openNamedModel } from "./open-named.ts";
import { planRecord } from "./plan-record.ts";
import { provenanceOf } from "./provenance.ts";
import { roundingNeeds, transformsOf } from "./rounding-options.ts";
import { type MessageOptions, reporterName, runReported } from "./run-reported.ts";
import type { ModelOptions, QuantizationOptions, ResourceOptions } from "./shared-options.ts";
import type { SplitOptions } from "./split-options.ts";
import { writeWarnings } from "./warnings.ts";

/** Options of every command that writes models. */
export interface RunOptions
  extends QuantizationOptions, ModelOptions, SplitOptions, ResourceOptions, HubOptions, MessageOptions {
  readonly force?: true;
  readonly restart?: true;
  readonly dryRun?: true;
  /** File, as the user gave it. */
  readonly report?: string;
  readonly manifest?: true;
}

/** Runs a plan. */
export type ConvertPlan = (
  plan: ConversionPlan,
  options: {
    readonly signal: AbortSignal;
    readonly onEvent: (event: WorkEvent) => void;
    readonly onWritten: (report: ConversionReport) => Promise<void>;
  },
) => Promise<ConversionReport>;

interface RunParams {
  /** Folder of a checkpoint, GGUF file or repository of the Hub, as the user gave it. */
  readonly model: string;
  readonly outputs: readonly OutputRequest[];
  /** Folder for outputs without a path. */
  readonly directory: string;
  readonly options: RunOptions;
  readonly host: Host;
  /** Default: by this process alone. */
  readonly convertPlan?: ConvertPlan;
}

/** Plans a conversion and runs it, or with `--dry-run` shows the plan. */
export async function runConversion(params: RunParams): Promise<void> {
  const { options, host } = params;
  const target = options.report === undefined ? undefined : reportTarget(options.report, host.cwd);
  const reportFiles = target === undefined ? [] : reportPaths(target);
  const source = await openNamedModel(params.model, host, options);
  const output = params.outputs[0]?.path ?? resolve(params.directory, source.name);
  const inputs = await openLayerInputs({ source, options, needs: roundingNeeds(options), output, host });
  try {
    const plan = await makePlan({ ...params, source, inputs }, reportFiles);
    const { convertPlan = convert } = params;
    await runPlan({ plan, inputs, options, host, convertPlan, ...(target && { target }) });
  } finally {
    await inputs.close();
  }
}

async function runPlan(params: {
  readonly plan: ConversionPlan;
  readonly inputs: LayerInputs;
  readonly options: RunOptions;
  readonly host: Host;
  readonly convertPlan: ConvertPlan;
  /** Of the report. */
  readonly target?: ReportTarget;
}): Promise<void> {
  const { plan, inputs, options, host, convertPlan, target } = params;
  showPlan({ plan, options, host, ...(inputs.sequential && { sequential: inputs.sequential }) });
  if (options.dryRun) return;
  await keepModel({ source: plan.checkpoint, options, host });
  let kept = false;
  let manifests: readonly string[] | undefined;
  const report = await runReported({
    host,
    reporter: reporterName(options),
    activity: "converting",
    measure: measuredInBytes(plan.sourceBytes),
    interrupted: () => (kept ? "the same command goes on with what is complete" : undefined),
    run: ({ signal, onEvent, turnTo }) => {
      signal.addEventListener("abort", () => inputs.stop(signal.reason));
      return convertPlan(plan, {
        signal,
        onEvent: (event) => {
          if (event.type === "stop") kept = true;
          onEvent(event);
        },
        onWritten: async (written) => {
          if (!options.manifest) return;
          turnTo("hashing", measuredInBytes(plan.outputs.reduce((sum, { fileSize }) => sum + fileSize, 0)));
          const { writeManifests } = await import("@quern/pipeline/provenance");
          manifests = await writeManifests({ plan, report: written, signal, onEvent });
        },
      });
    },
  }).catch((error: unknown) => {
    throw kept ? mendable(error) : error;
  });
  if (target !== undefined) {
    const { writeConversionReport } = await import("../report/write-conversion-report.ts");
    await writeConversionReport({ plan, report, options, target });
  }
  const reportFiles = target === undefined ? [] : reportPaths(target);
  showReport({ plan, report, reportFiles, options, host, ...(manifests && { manifests }) });
}

/** Shows what is going to be written: as the result of a dry run, else beside it. */
function showPlan(params: {
  readonly plan: ConversionPlan;
  readonly sequential?: SequentialPlan;
  readonly options: RunOptions;
  readonly host: Host;
}): void {
  const { plan, sequential, options, host } = params;
  const { json, dryRun = false, quiet = false, verbose = false } = options;
  if (!quiet) writeWarnings([...plan.warnings, ...(sequential?.warnings ?? [])], host);
  if (json) writeJsonLine(host.stdout, planRecord(plan));
  if (json || (quiet && !dryRun)) return;
  const stream = dryRun ? host.stdout : host.stderr;
  const style = styleFor(stream, host.env);
  const kernels = `${plan.kernels.backend} ${plan.kernels.isa}`;
  const tensors = dryRun || verbose ? `${formatPlanTensors({ plan, style })}\n` : "";
  const summary = formatPlanSummary({ plan, kernels, ...(sequential && { sequential }), style });
  stream.write(`${tensors}${summary}${dryRun ? "" : "\n"}`);
}

function showReport(params: {
  readonly plan: ConversionPlan;
  readonly report: ConversionReport;
  readonly reportFiles: readonly string[];
  readonly manifests?: readonly string[];
  readonly options: RunOptions;
  readonly host: Host;
}): void {
  const { plan, options, host, ...written } = params;
  const { report, ...files } = written;
  const peakMemory = process.resourceUsage().maxRSS * 1024;
  if (options.json) {
    writeJsonLine(host.stdout, { type: "result", ...report, ...files, peakMemory });
  } else {
    const style = styleFor(host.stdout, host.env);
    host.stdout.write(formatReport({ plan, ...written, peakMemory, style }));
  }
}

/** @param reportFiles Files of the report that is going to be written. */
async function makePlan(
  {
    source,
    inputs,
    outputs,
    directory,
    options,
    host,
  }: RunParams & { readonly source: ModelSource; readonly inputs: LayerInputs },
  reportFiles: readonly string[],
): Promise<ConversionPlan> {
  return planConversion({
    checkpoint: source,
    outputs,
    directory,
    force: options.force === true,
    restart: options.restart === true,
    // Manifests tell the error of every tensor, too.
    measureErrors: reportFiles.length > 0 || options.manifest === true,
    companions: reportFiles,
    ...(await requestedConversion(options, inputs, host)),
  });
}

/** What options say of every conversion, whatever it writes, and wherever. */
export async function requestedConversion(
  options: QuantizationOptions & ModelOptions & ResourceOptions & Pick<RunOptions, "manifest">,
  inputs: LayerInputs,
  host: Host,
): Promise<Omit<PlanParams, "checkpoint" | "outputs">> {
  const importance = await importanceOf(options, host);
  return {
    tool,
    ...(importance === undefined ? {} : { importance }),
    ...roundingRequest(options, inputs),
    ...(options.manifest && { provenance: await provenanceOf({ options, inputs, host }) }),
    ...(options.pre === undefined ? {} : { preTokenizer: options.pre }),
    ...(options.memory === undefined ? {} : { memory: options.memory }),
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    ...(options.kernels === undefined ? {} : { backend: options.kernels }),
  };
}

/** @throws QuernError `USAGE_ROUNDING` */
function roundingRequest(
  options: QuantizationOptions,
  { statistics, inputs }: LayerInputs,
): Pick<PlanParams, "rounding"> {
  const { rounding: name } = options;
  const transforms = transformsOf(options);
  if (name === undefined) {
    const stray = inputs === undefined ? options.transform && "--transform" : "--sequential";
    if (stray === undefined) return {};
    throw new QuernError("USAGE_ROUNDING", `${stray} is for --rounding: expected it, too.`);
  }
  if (statistics === undefined && inputs === undefined) {
    throw new QuernError(
      "USAGE_ROUNDING",
      '--rounding needs to know what the layers of the model read: expected --statistics with a file that "quern calibrate" makes, or --sequential.',
    );
  }
  return {
    rounding: {
      method: { name },
      ...(transforms.length > 0 && { transforms }),
      ...(statistics && { statistics }),
      ...(inputs && { inputs }),
    },
  };
}

async function importanceOf(
  options: QuantizationOptions & Pick<RunOptions, "manifest">,
  { cwd }: Host,
): Promise<Importance | undefined> {
  const { includeWeights: include, excludeWeights: exclude } = options;
  const imatrix = options.imatrix ?? options.statistics;
  if (imatrix === undefined) {
    if (include === undefined && exclude === undefined) return undefined;
    throw new QuernError(
      "USAGE_IMATRIX",
      "--include-weights and --exclude-weights choose from --imatrix or --statistics: expected one of them, too.",
    );
  }
  // The path goes into the metadata of the files, as the user wrote it; where they tell their origin, no place does.
  const name = options.manifest ? basename(imatrix) : imatrix;
  const importance = await readImportance(resolve(cwd, imatrix), { name });
  return selectImportance(importance, {
    ...(include === undefined ? {} : { include }),
    ...(exclude === undefined ? {} : { exclude }),
  });
}

/** What an error says of files that were kept. */
function mendable(error: unknown): unknown {
  if (!(error instanceof QuernError) || error.code === "INTERRUPTED") return error;
  const message = `${error.message.replace(/\.$/, "")}. What is complete was kept: run the same command again to go on.`;
  return new QuernError(error.code, message, { subject: error.subject, cause: error.cause });
}
