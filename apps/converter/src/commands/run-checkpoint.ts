import { basename, resolve, sep } from "node:path";
import { openCheckpointDirectory } from "@quern/checkpoints/node";
import { type CheckpointPlan, openLayeredModel, planCheckpoint, writeCheckpoint } from "@quern/pipeline";
import { type QuantizationRecipe, resolveRecipe, type StatisticsNeed } from "@quern/recipes";
import { openStatistics, type Statistics } from "@quern/statistics";
import { QuernError } from "@quern/tensor";
import { checkOutputPlaces } from "@quern/tensor/node";
import { formatCheckpointPlan, formatPlannedLayers } from "../format/checkpoint-plan.ts";
import { formatCheckpointReport } from "../format/checkpoint-report.ts";
import type { Host } from "../host.ts";
import { checkpointContents } from "../report/checkpoint-record.ts";
import { reportPaths, type ReportTarget, reportTarget } from "../report/report-target.ts";
import { writeReport } from "../report/write-report.ts";
import { writeJsonLine } from "../reporters/json.ts";
import { measuredInWeights } from "../reporters/measure.ts";
import { styleFor } from "../terminal.ts";
import { version } from "../version.ts";
import type { CheckpointOptions } from "./checkpoint-options.ts";
import { checkpointPlanRecord } from "./checkpoint-plan-record.ts";
import { checkpointRecipe } from "./checkpoint-recipe.ts";
import { type MessageOptions, reporterName, runReported } from "./run-reported.ts";
import type { ResourceOptions } from "./shared-options.ts";
import { shellWord } from "./shell-word.ts";
import type { SplitOptions } from "./split-options.ts";
import { writeWarnings } from "./warnings.ts";

interface RunCheckpointOptions extends CheckpointOptions, SplitOptions, ResourceOptions, MessageOptions {
  readonly output?: string;
  readonly force?: true;
  readonly dryRun?: true;
  readonly report?: string;
}

interface RunCheckpointParams {
  /** Folder of a checkpoint, as the user gave it. */
  readonly model: string;
  readonly options: RunCheckpointOptions;
  readonly host: Host;
}

/** Plans a quantized checkpoint and writes it, or with `--dry-run` shows the plan. */
export async function runCheckpoint(params: RunCheckpointParams): Promise<void> {
  const { options, host } = params;
  const recipe = await checkpointRecipe({ options, cwd: host.cwd });
  const target = options.report === undefined ? undefined : reportTarget(options.report, host.cwd);
  const force = options.force === true;
  const statistics = await statisticsOf(params);
  try {
    const plan = await makePlan(params, recipe, statistics);
    if (target !== undefined) await checkReport({ target, folder: plan.folder, force });
    if (!options.quiet) writeWarnings(plan.warnings, host);
    if (options.json) writeJsonLine(host.stdout, checkpointPlanRecord(plan, recipe));
    if (options.dryRun) {
      if (!options.json) {
        const style = styleFor(host.stdout, host.env);
        host.stdout.write(
          `${formatPlannedLayers({ plan, style })}\n${formatCheckpointPlan({ plan, recipe, statistics, style })}`,
        );
      }
      return;
    }
    if (!options.json && !options.quiet) {
      const style = styleFor(host.stderr, host.env);
      host.stderr.write(`${formatCheckpointPlan({ plan, recipe, statistics, style })}\n`);
    }
    const report = await runReported({
      host,
      reporter: reporterName(options),
      activity: "quantizing",
      measure: measuredInWeights(plan.parameters),
      run: (runOptions) => writeCheckpoint(plan, runOptions),
    });
    if (target !== undefined) {
      await writeReport({ contents: checkpointContents({ plan, recipe, report }), target, force });
    }
    const reportPath = target?.page ?? target?.json;
    const peakMemory = process.resourceUsage().maxRSS * 1024;
    if (options.json) writeJsonLine(host.stdout, { type: "result", ...report, peakMemory });
    else {
      const style = styleFor(host.stdout, host.env);
      host.stdout.write(formatCheckpointReport({ plan, report, reportPath, peakMemory, style }));
    }
  } finally {
    await statistics?.close();
  }
}

async function makePlan(
  { model: path, options, host }: RunCheckpointParams,
  recipe: QuantizationRecipe,
  statistics: Statistics | undefined,
): Promise<CheckpointPlan> {
  const model = await openLayeredModel(await openCheckpointDirectory(resolve(host.cwd, path)));
  const resolved = resolveRecipe(recipe, model.linears);
  if (statistics === undefined || options.data !== undefined) {
    refuseWithoutStatistics({ path, data: options.data, recipe, need: resolved.statistics });
  }
  const { name } = model.checkpoint;
  return planCheckpoint({
    model,
    recipe: resolved,
    recipeName: recipe.name,
    output: resolve(host.cwd, options.output ?? `${name}-${recipe.name.replaceAll(/[^\w.-]+/g, "-")}`),
    force: options.force === true,
    tool: `quern:${version}`,
    ...(statistics === undefined ? {} : { statistics }),
    ...(options.compat === undefined ? {} : { loaders: options.compat }),
    ...(options.memory === undefined ? {} : { memory: options.memory }),
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    ...(options.kernels === undefined ? {} : { backend: options.kernels }),
    ...(options.splitMaxSize === undefined ? {} : { maxShardSize: options.splitMaxSize }),
  });
}

async function statisticsOf({ options, host }: RunCheckpointParams): Promise<Statistics | undefined> {
  const { statistics: file } = options;
  return file === undefined ? undefined : openStatistics(resolve(host.cwd, file), { name: file });
}

/**
 * @throws QuernError `RECIPE_STATISTICS_REQUIRED` with the command that makes what is needed
 */
function refuseWithoutStatistics(params: {
  /** Folder of the model, as the user gave it. */
  path: string;
  data: readonly string[] | undefined;
  recipe: QuantizationRecipe;
  need: StatisticsNeed;
}): void {
  const { path, data, recipe, need } = params;
  if (need === "none" && data === undefined) return;
  const file = `${basename(path)}-statistics.safetensors`;
  const command = [
    "quern calibrate",
    shellWord(path),
    ...(data === undefined ? [] : ["--data", ...data.map(shellWord)]),
    ...(need === "channels" ? ["--no-hessians"] : []),
    "-o",
    shellWord(file),
  ].join(" ");
  const why =
    need === "none"
      ? `recipe "${recipe.name}" looks at weights alone; texts are for recipes with statistics`
      : `recipe "${recipe.name}" needs to know what the layers of the model read`;
  const then =
    need === "none" ? "" : `: run ${command}, then the same command with --statistics ${shellWord(file)}`;
  throw new QuernError("RECIPE_STATISTICS_REQUIRED", `${why}${then}`);
}

/**
 * Checks that the files of a report can be written, unless they will lie in the folder that is not there yet.
 *
 * @throws QuernError `OUTPUT_*`
 */
async function checkReport(params: {
  readonly target: ReportTarget;
  readonly folder: string;
  readonly force: boolean;
}): Promise<void> {
  const { target, folder, force } = params;
  const outside = reportPaths(target).filter((path) => !path.startsWith(`${folder}${sep}`));
  await checkOutputPlaces({
    places: outside.map((path) => ({ path, fileSize: 0 })),
    sources: [],
    force,
  });
}
