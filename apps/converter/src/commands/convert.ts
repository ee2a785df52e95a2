import { resolve } from "node:path";
import { openModel } from "@quern/checkpoints/node";
import {
  type ConversionPlan,
  type ConversionReport,
  convert,
  type Importance,
  planConversion,
  readImportance,
} from "@quern/pipeline";
import { loadKernels } from "@quern/kernels";
import { QuernError } from "@quern/tensor";
import type { Command } from "commander";
import { formatPlanSummary, formatPlanTensors } from "../format/plan.ts";
import { printable } from "../format/printable.ts";
import { formatReport } from "../format/report.ts";
import type { Host } from "../host.ts";
import { writeJsonLine } from "../reporters/json.ts";
import { createReporter, type ReporterName } from "../reporters/create-reporter.ts";
import { styleFor } from "../terminal.ts";
import { addConvertOptions, type ConvertOptions, outputRequests } from "./convert-options.ts";
import { planRecord } from "./plan-record.ts";

export function registerConvert(program: Command, host: Host): void {
  addConvertOptions(
    program
      .command("convert")
      .description("Convert a Hugging Face checkpoint, or a GGUF file, to GGUF files.")
      .argument(
        "<model>",
        "folder with config.json, tokenizer and *.safetensors; or a GGUF file (any one of a split set)",
      ),
  ).action((model: string, options: ConvertOptions) => runConvert({ model, options, host }));
}

async function runConvert(params: {
  readonly model: string;
  readonly options: ConvertOptions;
  readonly host: Host;
}): Promise<void> {
  const { options, host } = params;
  const plan = await makePlan(params);
  const { info } = await loadKernels({ backend: plan.backend });
  const kernels = `${info.backend} ${info.isa}`;
  if (!options.quiet) {
    writeWarnings(plan, host);
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
  const report = await runPlan({ plan, host, reporter: reporterName(options) });
  const peakMemory = process.resourceUsage().maxRSS * 1024;
  if (options.json) {
    writeJsonLine(host.stdout, { type: "result", ...report, peakMemory });
  } else {
    host.stdout.write(formatReport({ plan, report, peakMemory, style: styleFor(host.stdout, host.env) }));
  }
}

async function makePlan(params: {
  readonly model: string;
  readonly options: ConvertOptions;
  readonly host: Host;
}): Promise<ConversionPlan> {
  const { model, options, host } = params;
  const { outputs, directory } = outputRequests(options, host.cwd);
  const importance = options.imatrix === undefined ? undefined : await importanceOf(options.imatrix, host);
  return planConversion({
    checkpoint: await openModel(resolve(host.cwd, model)),
    outputs,
    directory,
    force: options.force === true,
    ...(importance === undefined ? {} : { importance }),
    ...(options.pre === undefined ? {} : { preTokenizer: options.pre }),
    ...(options.memory === undefined ? {} : { memory: options.memory }),
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    ...(options.kernels === undefined ? {} : { backend: options.kernels }),
  });
}

/** The path goes into the metadata of the files, as the user wrote it. */
async function importanceOf(path: string, { cwd }: Host): Promise<Importance> {
  return { ...(await readImportance(resolve(cwd, path))), file: path };
}

function writeWarnings({ warnings }: ConversionPlan, { stderr, env }: Host): void {
  const style = styleFor(stderr, env);
  for (const { message } of warnings) {
    stderr.write(`${style.yellow("warning:")} ${printable(message)}\n`);
  }
}

function reporterName(options: ConvertOptions): ReporterName {
  if (options.json) {
    return "json";
  }
  return options.quiet || !options.progress ? "none" : "auto";
}

/** Runs a plan until it is done or the user has had enough. */
async function runPlan(params: {
  readonly plan: ConversionPlan;
  readonly host: Host;
  readonly reporter: ReporterName;
}): Promise<ConversionReport> {
  const { plan, host } = params;
  const interruption = new AbortController();
  const reporter = createReporter({ name: params.reporter, plan, host });
  const ignoreInterrupts = host.onInterrupt(() => {
    // The next signal meets nobody who listens, and ends the process at once.
    ignoreInterrupts();
    interruption.abort();
  });
  try {
    return await convert(plan, {
      signal: interruption.signal,
      onEvent: (event) => reporter.onEvent(event),
    });
  } catch (error) {
    if (interruption.signal.aborted) {
      throw new QuernError("INTERRUPTED", "Interrupted: unfinished output files have been removed.", {
        cause: error,
      });
    }
    throw error;
  } finally {
    ignoreInterrupts();
    reporter.close();
  }
}
