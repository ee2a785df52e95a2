import { resolve } from "node:path";
import { openCheckpointDirectory } from "@quern/checkpoints/node";
import {
  type ConversionPlan,
  convert,
  type Importance,
  planConversion,
  readImportance,
} from "@quern/pipeline";
import { loadKernels } from "@quern/kernels";
import type { Command } from "commander";
import { formatPlanSummary, formatPlanTensors } from "../format/plan.ts";
import { formatReport } from "../format/report.ts";
import type { Host } from "../host.ts";
import { writeJsonLine } from "../reporters/json.ts";
import { styleFor } from "../terminal.ts";
import { addConvertOptions, type ConvertOptions, outputRequests } from "./convert-options.ts";
import { planRecord } from "./plan-record.ts";
import { reporterName, runReported } from "./run-reported.ts";
import { writeWarnings } from "./warnings.ts";

export function registerConvert(program: Command, host: Host): void {
  addConvertOptions(
    program
      .command("convert")
      .description("Convert a Hugging Face checkpoint to GGUF files.")
      .argument("<checkpoint>", "folder with config.json, tokenizer and *.safetensors"),
  ).action((folder: string, options: ConvertOptions) => runConvert({ folder, options, host }));
}

async function runConvert(params: {
  readonly folder: string;
  readonly options: ConvertOptions;
  readonly host: Host;
}): Promise<void> {
  const { options, host } = params;
  const plan = await makePlan(params);
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
    sourceBytes: plan.sourceBytes,
    run: (runOptions) => convert(plan, runOptions),
  });
  const peakMemory = process.resourceUsage().maxRSS * 1024;
  if (options.json) {
    writeJsonLine(host.stdout, { type: "result", ...report, peakMemory });
  } else {
    host.stdout.write(formatReport({ plan, report, peakMemory, style: styleFor(host.stdout, host.env) }));
  }
}

async function makePlan(params: {
  readonly folder: string;
  readonly options: ConvertOptions;
  readonly host: Host;
}): Promise<ConversionPlan> {
  const { folder, options, host } = params;
  const { outputs, directory } = outputRequests(options, host.cwd);
  const importance = options.imatrix === undefined ? undefined : await importanceOf(options.imatrix, host);
  return planConversion({
    checkpoint: await openCheckpointDirectory(resolve(host.cwd, folder)),
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
