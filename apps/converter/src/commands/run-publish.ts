import { resolve } from "node:path";
import type { Checkpoint, GgufModel } from "@quern/checkpoints";
import type { HubAccess, HubPatience } from "@quern/hub";
import { hubAccessOf } from "@quern/hub/node";
import { checkWriter } from "@quern/hub/upload";
import { taskOf } from "@quern/pipeline/cards";
import { type LayeredModel, openLayeredModel, planCheckpoint } from "@quern/pipeline/layers";
import {
  planCheckpointPublication,
  type PlanCheckpointPublicationParams,
  planGgufPublication,
  type PlanGgufPublicationParams,
  publicationBytes,
  PublicationJournal,
  type PublicationPlan,
  type PublicationTarget,
  publish,
} from "@quern/publishing";
import { inputsAlong, type QuantizationRecipe, type ResolvedRecipe, resolveRecipe } from "@quern/recipes";
import type { ReportContents } from "@quern/reports";
import type { QueueEvent } from "@quern/queue";
import { QuernError } from "@quern/tensor";
import { formatPublicationPlan, formatPublicationReport } from "../format/publication.ts";
import type { Host } from "../host.ts";
import { conversionSettings } from "../report/conversion-settings.ts";
import { readReportFile } from "../report/read-report-file.ts";
import { writeJsonLine } from "../reporters/json.ts";
import { measuredInBytes } from "../reporters/measure.ts";
import { styleFor } from "../terminal.ts";
import { tool } from "../version.ts";
import { checkpointRecipe } from "./checkpoint-recipe.ts";
import { type LayerInputs, openLayerInputs } from "./layer-inputs.ts";
import { namesRepository, openNamedModel } from "./open-named.ts";
import { publicationEvaluation } from "./publication-evaluation.ts";
import { publicationPlanRecord } from "./publication-plan-record.ts";
import { hashOf } from "./provenance.ts";
import type { PublishOptions } from "./publish-options.ts";
import { queuedCheckpoint, queuedConversion } from "./queue-options.ts";
import { requestedConversion } from "./run-conversion.ts";
import { roundingNeeds } from "./rounding-options.ts";
import { reporterName, runReported, waitTeller } from "./run-reported.ts";
import { requestedQuantization } from "./shared-options.ts";
import { writeWarnings } from "./warnings.ts";

interface RunPublishParams {
  /** As the user gave it. */
  readonly model: string;
  readonly options: PublishOptions;
  readonly host: Host;
  /** Whether a checkpoint in safetensors is asked for instead of GGUF files. */
  readonly asCheckpoint: boolean;
}

/** What both kinds of publications are planned from. */
interface PublicationWork extends RunPublishParams {
  readonly access: HubAccess;
  readonly patience: HubPatience;
  readonly source: Checkpoint | GgufModel;
  readonly inputs: LayerInputs;
  readonly directory: string;
  readonly journal: PublicationJournal;
  readonly target: PublicationTarget;
  /** Of a checkpoint. */
  readonly layers?: ResolvedLayers;
  /** With `--queue`: of GGUF files. */
  readonly convertPlan?: PlanGgufPublicationParams["convertPlan"];
  /** With `--queue`: of a checkpoint. */
  readonly write?: NonNullable<PlanCheckpointPublicationParams["write"]>;
}

const DEFAULT_TYPE = "Q4_K_M";

/** Plans a publication and runs it, or with `--dry-run` shows the plan. */
export async function runPublish(params: RunPublishParams): Promise<void> {
  const { options, host } = params;
  let tellOfQueue: (event: QueueEvent) => void = () => undefined;
  const queued = await byQueue(params, (event) => tellOfQueue(event));
  const access = await hubAccessOf(host.env);
  const patience = { onWait: waitTeller(host, options) };
  // Looking at a plan of what is public needs no token.
  if (!(options.dryRun && access.token === undefined)) {
    await checkWriter({ access, id: options.repo, patience });
  }
  const source = await openNamedModel(revised(params), host, options);
  const layers = params.asCheckpoint ? await resolvedLayers(params, source) : undefined;
  const needs = layers ? inputsAlong(layers.resolved, layers.model.linears) : roundingNeeds(options);
  const inputs = await openLayerInputs({ source, options, needs, output: directoryOf(params), host });
  try {
    const plan = await planOf({
      ...params,
      access,
      source,
      inputs,
      patience,
      ...(layers && { layers }),
      ...queued,
    });
    if (!options.quiet) writeWarnings(plan.warnings, host);
    if (options.json) writeJsonLine(host.stdout, publicationPlanRecord(plan));
    if (options.dryRun) {
      if (!options.json) {
        host.stdout.write(formatPublicationPlan({ plan, style: styleFor(host.stdout, host.env) }));
      }
      return;
    }
    if (!options.json && !options.quiet) {
      host.stderr.write(`${formatPublicationPlan({ plan, style: styleFor(host.stderr, host.env) })}\n`);
    }
    const report = await runReported({
      host,
      reporter: reporterName(options),
      activity: "publishing",
      measure: measuredInBytes(publicationBytes(plan)),
      interrupted: "the same command goes on from here",
      run: (runOptions) => {
        const { signal } = runOptions;
        tellOfQueue = runOptions.onEvent;
        signal.addEventListener("abort", () => inputs.stop(signal.reason));
        return publish(plan, runOptions);
      },
    });
    const peakMemory = process.resourceUsage().maxRSS * 1024;
    if (options.json) writeJsonLine(host.stdout, { type: "result", ...report, peakMemory });
    else {
      const style = styleFor(host.stdout, host.env);
      host.stdout.write(formatPublicationReport({ report, peakMemory, style }));
    }
  } finally {
    await inputs.close();
  }
}

/** What `--queue` changes. */
async function byQueue(
  params: RunPublishParams,
  onQueueEvent: (event: QueueEvent) => void,
): Promise<Pick<PublicationWork, "convertPlan" | "write">> {
  if (params.asCheckpoint) {
    const write = await queuedCheckpoint(params);
    return write ? { write: (plan, run) => write(plan, { ...run, onQueueEvent }) } : {};
  }
  const options = { ...params.options, manifest: true } as const;
  const convert = await queuedConversion({ ...params, directory: directoryOf(params), options });
  return convert
    ? { convertPlan: (plan, outputs, run) => convert(plan, outputs, { ...run, onQueueEvent }) }
    : {};
}

/** Where files lie until they are published, and unless they are deleted. */
function directoryOf({ options, host }: RunPublishParams): string {
  return resolve(host.cwd, options.outputDir ?? options.repo.split("/")[1]!);
}

async function planOf(
  params: RunPublishParams &
    Omit<PublicationWork, keyof RunPublishParams | "directory" | "journal" | "target">,
): Promise<PublicationPlan> {
  const { options, access, patience } = params;
  const { repo: id } = options;
  const directory = directoryOf(params);
  const journal = await PublicationJournal.open(directory, id, { restart: options.restart === true });
  const work: PublicationWork = {
    ...params,
    directory,
    journal,
    target: {
      access,
      id,
      exists: false,
      isPrivate: options.private === true,
      opensPullRequest: options.pr === true,
      patience,
    },
  };
  return params.layers ? planFolder(work, params.layers) : planFiles(work);
}

/** A recipe, and the model that it is for. */
interface ResolvedLayers {
  readonly recipe: QuantizationRecipe;
  readonly model: LayeredModel;
  readonly resolved: ResolvedRecipe;
}

/** @throws QuernError `USAGE_CONTAINER` for a GGUF file, and the codes of `openLayeredModel` and `resolveRecipe` */
async function resolvedLayers(
  { options, host }: RunPublishParams,
  source: Checkpoint | GgufModel,
): Promise<ResolvedLayers> {
  if (!("files" in source)) {
    throw new QuernError(
      "USAGE_CONTAINER",
      "A GGUF file does not become a checkpoint in safetensors: expected a folder or a repository of the Hub.",
    );
  }
  const recipe = await checkpointRecipe({ options, cwd: host.cwd });
  const model = await openLayeredModel(source, recipe);
  return { recipe, model, resolved: resolveRecipe(recipe, model.linears, model) };
}

/** A quantized checkpoint. */
async function planFolder(work: PublicationWork, layers: ResolvedLayers): Promise<PublicationPlan> {
  const { options, host, source, inputs, access, directory } = work;
  const { recipe, model, resolved } = layers;
  const { checkpointFolderName, refuseWithoutStatistics, requestedCheckpoint } =
    await import("./run-checkpoint.ts");
  refuseWithoutStatistics({ path: work.model, options, recipe, need: resolved.statistics });
  const folder = resolve(directory, checkpointFolderName({ recipe, model }));
  const planEvaluation = publicationEvaluation({ source, options, directory, host });
  const { baseModel } = await originOf(source, options, access);
  const { statistics, sequential, data, tokens } = options;
  const sha256 = statistics === undefined ? null : await hashOf(resolve(host.cwd, statistics));
  return planCheckpointPublication({
    ...work,
    name: recipe.name,
    recipe: [recipe, options.splitMaxSize ?? null, sha256, sequential ?? null, data ?? null, tokens ?? null],
    tool,
    folder,
    planCheckpoint: async (force) =>
      planCheckpoint({
        ...(await requestedCheckpoint(options, { recipe, resolved, model, inputs }, host)),
        output: folder,
        force,
        restart: options.restart === true,
        publishedAs: options.repo,
        ...(baseModel === undefined ? {} : { baseModel }),
      }),
    quantizedBy: options.repo.split("/")[0]!,
    reports: await readReports(work),
    ...(planEvaluation && { planEvaluation }),
    force: options.force === true,
    deletesLocal: options.deleteLocal === true,
  });
}

function readReports({ options, host }: PublicationWork): Promise<ReportContents[]> {
  const files = options.reportFile ?? [];
  return Promise.all(files.map((file) => readReportFile(resolve(host.cwd, file))));
}

/** GGUF files. */
async function planFiles(work: PublicationWork): Promise<PublicationPlan> {
  const { options, host, access, source, inputs, directory, journal, target, convertPlan } = work;
  const { repo: id, type: types = [DEFAULT_TYPE] } = options;
  const planEvaluation = publicationEvaluation({ source, options, directory, host });
  return planGgufPublication({
    target,
    outputs: types.map((type) => ({ type, ...requestedQuantization(options) })),
    conversion: {
      checkpoint: source,
      restart: options.restart === true,
      measureErrors: true,
      ...(await requestedConversion({ ...options, manifest: true }, inputs, host)),
    },
    directory,
    journal,
    card: {
      ...(await originOf(source, options, access)),
      quantizedBy: id.split("/")[0]!,
      settings: conversionSettings(options),
      reports: await readReports(work),
    },
    ...(planEvaluation && { planEvaluation }),
    force: options.force === true,
    deletesLocal: options.deleteLocal === true,
    oneByOne: options.oneByOne === true,
    ...(convertPlan && { convertPlan }),
  });
}

/**
 * The model on the Hub that is quantized, and its card.
 *
 * @throws QuernError `USAGE_REPOSITORY` where that is what is to be published to: its own files would be replaced
 */
async function originOf(
  source: Checkpoint | GgufModel,
  { baseModel, repo }: PublishOptions,
  { endpoint }: HubAccess,
): Promise<{ baseModel?: string; commit?: string; sourceCard?: string; task?: string }> {
  const place = source.location.startsWith(`${endpoint}/`) ? source.location.slice(endpoint.length + 1) : "";
  const [, id, commit] = /^(.+)\/tree\/([0-9a-f]{40,64})$/.exec(place) ?? [];
  const base = baseModel ?? id;
  // The Hub does not tell names apart by the size of letters.
  if ([base, id].some((one) => one?.toLowerCase() === repo.toLowerCase())) {
    throw new QuernError(
      "USAGE_REPOSITORY",
      `hf:${repo} is the repository of the model that is quantized: expected another one in --repo.`,
    );
  }
  const files = "files" in source ? source.files : undefined;
  const card = await files?.read("README.md");
  const config = await files?.read("config.json");
  const task = config && taskOf(JSON.parse(new TextDecoder().decode(config)) as Record<string, unknown>);
  return {
    ...(base === undefined ? {} : { baseModel: base }),
    ...(commit === undefined || base !== id ? {} : { commit }),
    ...(card === undefined ? {} : { sourceCard: new TextDecoder().decode(card) }),
    ...(task === undefined ? {} : { task }),
  };
}

/** @throws QuernError `USAGE_REVISION` */
function revised({ model, options, host }: RunPublishParams): string {
  if (options.revision === undefined) return model;
  if (namesRepository(model, host) && !model.includes("@")) return `${model}@${options.revision}`;
  throw new QuernError(
    "USAGE_REVISION",
    "--revision is of a repository of the Hub that names no revision by itself: expected hf:<owner>/<name>",
  );
}
