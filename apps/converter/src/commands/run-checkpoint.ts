import { basename, resolve, sep } from "node:path";
import type { JsonObject } from "@quern/manifest";
import {
  type CheckpointPlan,
  type CheckpointReport,
  type LayeredModel,
  openLayeredModel,
  planCheckpoint,
  type PlanCheckpointParams,
  writeCheckpoint,
} from "@quern/pipeline/layers";
import {
  inputsAlong,
  type QuantizationRecipe,
  type ResolvedRecipe,
  resolveRecipe,
  type StatisticsNeed,
} from "@quern/recipes";
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
import type { WorkEvent } from "../reporters/reporter.ts";
import { styleFor } from "../terminal.ts";
import { tool } from "../version.ts";
import type { CheckpointOptions } from "./checkpoint-options.ts";
import { checkpointPlanRecord } from "./checkpoint-plan-record.ts";
import { checkpointRecipe } from "./checkpoint-recipe.ts";
import { type HubOptions, keepModel } from "./hub-options.ts";
import { type LayerInputs, openLayerInputs } from "./layer-inputs.ts";
import { openNamedCheckpoint } from "./open-named.ts";
import { provenanceOf } from "./provenance.ts";
import type { RoundingOptions } from "./rounding-options.ts";
import { type MessageOptions, reporterName, runReported } from "./run-reported.ts";
import type { ResourceOptions } from "./shared-options.ts";
import { shellWord } from "./shell-word.ts";
import type { SplitOptions } from "./split-options.ts";
import { writeWarnings } from "./warnings.ts";

interface RunCheckpointOptions
  extends CheckpointOptions, RoundingOptions, SplitOptions, ResourceOptions, HubOptions, MessageOptions {
  readonly output?: string;
  readonly force?: true;
  readonly restart?: true;
  readonly dryRun?: true;
  readonly report?: string;
}

/** Runs a plan. */
export type WriteCheckpoint = (
  plan: CheckpointPlan,
  options: {
    readonly signal: AbortSignal;
    readonly onEvent: (event: WorkEvent) => void;
  },
) => Promise<CheckpointReport>;

interface RunCheckpointParams {
  /** Folder of a checkpoint, as the user gave it. */
  readonly model: string;
  readonly options: RunCheckpointOptions;
  readonly host: Host;
  /** Default: by this process alone. */
  readonly write?: WriteCheckpoint;
}

/** Plans a quantized checkpoint and writes it, or with `--dry-run` shows the plan. */
export async function runCheckpoint(params: RunCheckpointParams): Promise<void> {
  const { options, host, write = writeCheckpoint } = params;
  const recipe = await checkpointRecipe({ options, cwd: host.cwd });
  const target = options.report === undefined ? undefined : reportTarget(options.report, host.cwd);
  const force = options.force === true;
  const source = await openNamedCheckpoint(params.model, host, options);
  const model = await openLayeredModel(source, recipe);
  const resolved = resolveRecipe(recipe, model.linears, model);
  refuseWithoutStatistics({ path: params.model, options, recipe, need: resolved.statistics });
  const output = resolve(host.cwd, options.output ?? checkpointFolderName({ recipe, model }));
  const inputs = await openLayerInputs({
    source,
    options,
    needs: inputsAlong(resolved, model.linears),
    output,
    host,
  });
  const { statistics, sequential } = inputs;
  try {
    const plan = await makePlan(params, { recipe, resolved, model, output, inputs });
    if (target !== undefined) await checkReport({ target, folder: plan.folder, force });
    if (!options.quiet) writeWarnings([...plan.warnings, ...(inputs.sequential?.warnings ?? [])], host);
    if (options.json) writeJsonLine(host.stdout, checkpointPlanRecord(plan, recipe));
    if (options.dryRun) {
      if (!options.json) {
        const style = styleFor(host.stdout, host.env);
        host.stdout.write(
          `${formatPlannedLayers({ plan, style })}\n${formatCheckpointPlan({ plan, recipe, statistics, sequential, style })}`,
        );
      }
      return;
    }
    if (!options.json && !options.quiet) {
      const style = styleFor(host.stderr, host.env);
      const layers = options.verbose ? `${formatPlannedLayers({ plan, style })}\n` : "";
      host.stderr.write(
        `${layers}${formatCheckpointPlan({ plan, recipe, statistics, sequential, style })}\n`,
      );
    }
    await keepModel({ source, options, host });
    let kept = false;
    const report = await runReported({
      host,
      reporter: reporterName(options),
      activity: "quantizing",
      measure: measuredInWeights(plan.parameters),
      interrupted: () => (kept ? "the same command goes on with what is complete" : undefined),
      run: ({ signal, onEvent }) => {
        signal.addEventListener("abort", () => inputs.stop(signal.reason));
        return write(plan, {
          signal,
          onEvent: (event) => {
            if (event.type === "stop") kept = true;
            onEvent(event);
          },
        });
      },
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
    await inputs.close();
  }
}

/** What decides about a checkpoint to write. */
interface CheckpointWork {
  readonly recipe: QuantizationRecipe;
  readonly resolved: ResolvedRecipe;
  readonly model: LayeredModel;
  readonly inputs: LayerInputs;
}

async function makePlan(
  { options, host }: RunCheckpointParams,
  /** `output` is an absolute path. */
  { output, ...work }: CheckpointWork & { readonly output: string },
): Promise<CheckpointPlan> {
  return planCheckpoint({
    ...(await requestedCheckpoint(options, work, host)),
    output,
    force: options.force === true,
    restart: options.restart === true,
  });
}

/** What a folder is called unless its name is given. */
export function checkpointFolderName({ recipe, model }: Pick<CheckpointWork, "recipe" | "model">): string {
  return `${model.checkpoint.name}-${recipe.name.replaceAll(/[^\w.-]+/g, "-")}`;
}

/** What options say of every checkpoint, wherever it is written. */
export async function requestedCheckpoint(
  options: Omit<RunCheckpointOptions, "output" | "force" | "restart">,
  work: CheckpointWork,
  host: Host,
): Promise<Omit<PlanCheckpointParams, "output" | "force" | "restart">> {
  const { recipe, resolved, model } = work;
  const { statistics, inputs } = work.inputs;
  return {
    model,
    recipe: resolved,
    recipeName: recipe.name,
    tool,
    provenance: {
      ...(await provenanceOf({ options, inputs: work.inputs, host })),
      recipe: recipe as unknown as JsonObject,
    },
    ...(statistics && { statistics }),
    ...(inputs && { inputs }),
    ...(options.compat === undefined ? {} : { loaders: options.compat }),
    ...(options.memory === undefined ? {} : { memory: options.memory }),
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    ...(options.kernels === undefined ? {} : { backend: options.kernels }),
    ...(options.splitMaxSize === undefined ? {} : { maxShardSize: options.splitMaxSize }),
  };
}

/**
 * @throws QuernError `RECIPE_STATISTICS_REQUIRED` with the command that makes what is needed
 */
export function refuseWithoutStatistics(params: {
  /** Model, as the user gave it. */
  path: string;
  options: RoundingOptions;
  recipe: QuantizationRecipe;
  need: StatisticsNeed;
}): void {
  const { path, options, recipe, need } = params;
  const { data, statistics, sequential } = options;
  const given = statistics !== undefined && data === undefined;
  if (need === "none" ? data === undefined && sequential === undefined : given || sequential === true) return;
  const file = `${basename(path).replace(/@.*/, "")}-statistics.safetensors`;
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
  const along =
    need === "hessian" && data !== undefined
      ? ", or add --sequential to run the model along with its quantization"
      : "";
  const then =
    need === "none"
      ? ""
      : `: run ${command}, then the same command with --statistics ${shellWord(file)}${along}`;
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
