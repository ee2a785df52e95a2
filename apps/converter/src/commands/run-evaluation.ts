import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { localPaths } from "@quern/checkpoints/node";
import type { WeightedFile } from "@quern/corpus";
import {
  evaluate,
  type EvaluationPlan,
  type EvaluationRequest,
  type EvaluationRule,
  openEvaluationText,
  openReference,
  planEvaluation,
  type SavedReference,
} from "@quern/evaluation";
import type { ModelSource } from "@quern/pipeline";
import { checkOutputPlaces, fileSource } from "@quern/tensor/node";
import { formatEvaluation, formatEvaluationPlan } from "../format/evaluation.ts";
import type { Host } from "../host.ts";
import { reportPaths, type ReportTarget } from "../report/report-target.ts";
import { writeReport } from "../report/write-report.ts";
import { writeJsonLine } from "../reporters/json.ts";
import { measuredInTokens } from "../reporters/measure.ts";
import { styleFor } from "../terminal.ts";
import { evaluationPlanRecord } from "./evaluation-plan-record.ts";
import { evaluationInput, evaluationResources } from "./evaluation-request.ts";
import { openTexts } from "./model-text.ts";
import { type HubOptions, keepModel } from "./hub-options.ts";
import { openNamedModel } from "./open-named.ts";
import { type MessageOptions, reporterName, runReported } from "./run-reported.ts";
import type { ResourceOptions } from "./shared-options.ts";
import { writeWarnings } from "./warnings.ts";

interface RunEvaluationParams {
  /** As the user gave it. */
  readonly model: string;
  /** Model or saved reference, as the user gave it. */
  readonly reference?: string;
  readonly text: {
    /** Default: those of a saved reference, or the bundled ones. */
    readonly files: readonly WeightedFile[] | undefined;
    readonly rule: Partial<EvaluationRule>;
    readonly limit?: number;
  };
  readonly save?: NonNullable<EvaluationRequest["save"]>;
  /** Files of the report. */
  readonly target?: ReportTarget;
  readonly options: ResourceOptions &
    HubOptions &
    MessageOptions & { readonly force?: true; readonly dryRun?: true };
  readonly host: Host;
}

/** Plans an evaluation and runs it, or with `--dry-run` shows the plan. */
export async function runEvaluation(params: RunEvaluationParams): Promise<void> {
  const { reference: path, host } = params;
  const saved = path !== undefined && (await isSavedReference(resolve(host.cwd, path)));
  const reference = saved ? await openReference(resolve(host.cwd, path), { name: path }) : undefined;
  try {
    await planAndRun(params, reference);
  } finally {
    await reference?.close();
  }
}

async function planAndRun(params: RunEvaluationParams, saved: SavedReference | undefined): Promise<void> {
  const { options, target, host } = params;
  const { plan, sources } = await makePlan(params, saved);
  if (target !== undefined) await checkReportPlaces(target, plan, options.force === true);
  if (!options.quiet) writeWarnings(plan.warnings, host);
  if (options.json) writeJsonLine(host.stdout, evaluationPlanRecord(plan, sources));
  const shown = options.dryRun ? host.stdout : host.stderr;
  if (!options.json && (options.dryRun || !options.quiet)) {
    const text = formatEvaluationPlan({ plan, sources, style: styleFor(shown, host.env) });
    shown.write(options.dryRun ? text : `${text}\n`);
  }
  if (options.dryRun) return;
  for (const source of sources) await keepModel({ source, options, host });
  const report = await runReported({
    host,
    reporter: reporterName(options),
    activity: "evaluating",
    measure: measuredInTokens(tokensOf(plan)),
    run: (runOptions) => evaluate(plan, runOptions),
  });
  if (target !== undefined) {
    await writeReport({ contents: { evaluation: report }, target, force: options.force === true });
  }
  if (options.json) writeJsonLine(host.stdout, { type: "result", ...report });
  else host.stdout.write(formatEvaluation({ report, style: styleFor(host.stdout, host.env) }));
}

async function makePlan(
  params: RunEvaluationParams,
  saved: SavedReference | undefined,
): Promise<{ readonly plan: EvaluationPlan; readonly sources: readonly ModelSource[] }> {
  const { text, reference, save, options, host } = params;
  const score = text.rule.score ?? saved?.header.rule.score ?? "half";
  const inputOf = async (path: string): ReturnType<typeof evaluationInput> =>
    evaluationInput(await openNamedModel(path, host, options), score);
  const { input: model, chatTemplate } = await inputOf(params.model);
  const against = saved ?? (reference === undefined ? undefined : (await inputOf(reference)).input);
  const texts =
    saved !== undefined && text.files === undefined
      ? undefined
      : await openTexts({ files: text.files, chatTemplate, host, bundled: openEvaluationText });
  try {
    const plan = await planEvaluation({
      model,
      rule: text.rule,
      ...(against === undefined ? {} : { reference: against }),
      ...(texts === undefined ? {} : { sources: texts.sources }),
      ...(text.limit === undefined ? {} : { limit: text.limit }),
      ...(save === undefined ? {} : { save }),
      ...evaluationResources(options),
    });
    const inputs = against === undefined || "header" in against ? [model] : [model, against];
    return { plan, sources: inputs.map(({ source }) => source) };
  } finally {
    await texts?.close();
  }
}

/** A file whose first bytes are a length, as safetensors has it, and "{"; whatever else is there is for `openModel` to say. */
async function isSavedReference(path: string): Promise<boolean> {
  const isFile = await stat(path).then(
    (stats) => stats.isFile(),
    () => false,
  );
  if (!isFile) return false;
  const source = await fileSource({ path });
  try {
    return source.size > 8 && (await source.read(8, 1))[0] === "{".charCodeAt(0);
  } finally {
    await source.close();
  }
}

/** Tokens that models are run on, of all models together. */
function tokensOf({ corpus, reference }: EvaluationPlan): number {
  return corpus.windows.length * corpus.rule.context * (reference?.kind === "model" ? 2 : 1);
}

/** The files are small; what they must not do is fail after hours. */
async function checkReportPlaces(target: ReportTarget, plan: EvaluationPlan, force: boolean): Promise<void> {
  const { model, save } = plan;
  await checkOutputPlaces({
    places: [
      ...reportPaths(target).map((path) => ({ path, fileSize: 2 ** 20 })),
      ...(save === undefined ? [] : [{ path: save.path, fileSize: save.bytes }]),
    ],
    sources: localPaths(model.runnable.source.shards),
    force,
  });
}
