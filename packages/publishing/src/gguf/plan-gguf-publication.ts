import { existsSync } from "node:fs";
import { basename } from "node:path";
import {
  type ConversionPlan,
  type ConversionReport,
  convert,
  type ConvertedOutput,
  type ConvertOptions,
  type OutputRequest,
  planConversion,
  plannedGguf,
  type PlanParams,
  relativeError,
} from "@quern/pipeline";
import type { ReportContents } from "@quern/reports";
import type { Card } from "../card/merge-card.ts";
import { markedSection } from "../card/merge-card.ts";
import { ggufCard, type GgufCardParams } from "../card/gguf-card.ts";
import { commonMeasurement, measuredFigures, measurementOf } from "../card/measured.ts";
import type { PlanItemEvaluation } from "../evaluation.ts";
import { itemStates } from "../item-states.ts";
import type { PublicationJournal } from "../journal.ts";
import { openTarget } from "../open-target.ts";
import { peakMemoryOf } from "../peak-memory.ts";
import type {
  CardState,
  MadeRecord,
  PublicationGroup,
  PublicationItem,
  PublicationPlan,
  PublicationTarget,
} from "../plan.ts";
import { ggufItems, type MadeOutput } from "./gguf-items.ts";
import { planGroups } from "./plan-groups.ts";

/** Bytes of a file that the Hub takes (huggingface.co/docs/hub/storage-limits). */
const LARGEST_FILE = 50e9;

/** Bytes of tensors in a file of a set: leaves room for vocabularies. */
const LARGEST_PART = 48e9;

/** What a card says that the conversion does not know. */
export interface CardFacts {
  /** "org/name" of the model on the Hub that is quantized. */
  readonly baseModel?: string;
  readonly commit?: string;
  /** Card of that model. */
  readonly sourceCard?: string;
  /** What the model does, where that card does not tell: "text-generation". */
  readonly task?: string;
  /** Account that gets the credit. */
  readonly quantizedBy?: string;
  /** What was asked for beside types, in words of the command line. */
  readonly settings: GgufCardParams["settings"];
  /** Of conversions and evaluations of these files. */
  readonly reports: readonly ReportContents[];
}

export interface PlanGgufPublicationParams {
  readonly target: PublicationTarget;
  readonly outputs: readonly OutputRequest[];
  /** What all conversions have in common. */
  readonly conversion: Omit<PlanParams, "outputs" | "directory" | "force" | "companions" | "checkPlaces">;
  /** Folder of the files. */
  readonly directory: string;
  readonly journal: PublicationJournal;
  readonly card: CardFacts;
  /** Plans to measure files before they are uploaded: divergence and perplexity for the card. */
  readonly planEvaluation?: PlanItemEvaluation;
  /** Whether files that are in the way are replaced. @default false */
  readonly force?: boolean;
  /** Whether files of a type are removed once the repository holds them. @default false */
  readonly deletesLocal?: boolean;
  /** Makes each type by itself. @default false: as disk and network have it */
  readonly oneByOne?: boolean;
  /** Runs the plan of some outputs. @default by this process alone */
  readonly convertPlan?: (
    plan: ConversionPlan,
    outputs: readonly OutputRequest[],
    options: ConvertOptions,
  ) => Promise<ConversionReport>;
}

/**
 * Plans GGUF files of one or more types, their upload and their card. Types that the repository holds already, and files that an earlier
 * run has finished, are not made again.
 *
 * @throws QuernError those of `planConversion`; `PUBLISH_OTHER_RUN`, `OUTPUT_NO_SPACE`; `HUB_*`
 */
export async function planGgufPublication(params: PlanGgufPublicationParams): Promise<PublicationPlan> {
  const { target, directory, journal, conversion, force = false } = params;
  const { deletesLocal = false, oneByOne = false, planEvaluation, convertPlan } = params;
  const { survey, requests } = await surveyOutputs(params);
  const items = ggufItems(survey);
  const repository = await openTarget({
    ...target,
    ...(journal.pullRequest && { branch: journal.pullRequest.branch }),
  });
  const states = await itemStates({ items, journal, repository });
  // Figures of what is published already may be others, where the files are still here.
  const evaluated = states.some(({ state }) => state !== "published")
    ? survey.outputs.filter((_, index) => states[index]!.state !== "published")
    : survey.outputs;
  const evaluation = await planEvaluation?.(evaluated.map(plannedGguf));
  const missing = states.flatMap(({ item, state }) => (state === "planned" ? [item] : []));
  const passes = await planGroups({
    items: missing,
    directory,
    deletesLocal,
    oneByOne,
    networkBytes: survey.networkBytes,
    scratchBytes: evaluation?.estimate.scratchBytes ?? 0,
  });
  const groups: PublicationGroup[] = [];
  for (const pass of passes) {
    const made = pass.map((item) => requests[items.indexOf(item)]!);
    // Reads nothing of the model, which is described once. Places of files, journals of conversions, and whether others are at work there are
    // looked at now, so that nothing fails late, and by the conversion once more as it begins, which may be hours later.
    const plan = await planConversion({
      ...conversion,
      directory,
      outputs: made,
      force: force || mayReplace(pass, journal),
    });
    const run = (options: ConvertOptions): Promise<ConversionReport> =>
      convertPlan === undefined ? convert(plan, options) : convertPlan(plan, made, options);
    groups.push(groupOf(pass, plan, run));
  }
  return {
    target: { ...target, exists: repository !== undefined },
    items: states,
    groups,
    directory,
    deletesLocal,
    ...(evaluation && { evaluation }),
    peakMemory: peakMemoryOf({ groups, evaluation }),
    makeCard: async (state) => cardOf({ ...params, survey, items }, state),
    journal,
    warnings: survey.warnings,
  };
}

/** Lays all outputs out, and splits those that would be too large for the Hub. */
async function surveyOutputs({
  outputs,
  conversion,
  directory,
}: PlanGgufPublicationParams): Promise<{ survey: ConversionPlan; requests: readonly OutputRequest[] }> {
  const survey = await planConversion({ ...conversion, outputs, directory, checkPlaces: false });
  const isTooLarge = survey.outputs.map(({ files }) => files.some(({ fileSize }) => fileSize > LARGEST_FILE));
  if (!isTooLarge.includes(true)) return { survey, requests: outputs };
  const requests = outputs.map((request, index) =>
    isTooLarge[index] === true && request.split === undefined
      ? { ...request, split: { maxBytes: LARGEST_PART } }
      : request,
  );
  return {
    survey: await planConversion({ ...conversion, outputs: requests, directory, checkPlaces: false }),
    requests,
  };
}

/**
 * What an earlier publication made under a name of ours was another version, or is not complete: that may go. What is not there yet, and
 * appears before the files have their names, is somebody else's.
 */
function mayReplace(items: readonly PublicationItem[], journal: PublicationJournal): boolean {
  const there = items.flatMap(({ targets }) => targets).filter((path) => existsSync(path));
  return there.length > 0 && there.every((path) => journal.owns(path));
}

function groupOf(
  items: readonly PublicationItem[],
  plan: ConversionPlan,
  run: (options: ConvertOptions) => Promise<ConversionReport>,
): PublicationGroup {
  const { sourceBytes, networkBytesLeft: networkBytes, resources } = plan;
  return {
    items,
    sourceBytes,
    networkBytes,
    peakMemory: resources.peakMemory,
    make: async ({ signal, onEvent, note }) => {
      const madeOf = ({ tensors, errors }: ConvertedOutput): MadeRecord => {
        const details: MadeOutput = { tensors, ...(errors && { errors }) };
        const figures = plan.measuresErrors && errors ? { weightError: relativeError(errors) } : {};
        return { figures, details };
      };
      await run({
        onEvent,
        onWritten: ({ outputs }) => note(outputs.map(madeOf)),
        ...(signal === undefined ? {} : { signal }),
      });
    },
  };
}

function cardOf(
  {
    target,
    card,
    journal,
    survey,
    items,
  }: PlanGgufPublicationParams & {
    readonly survey: ConversionPlan;
    readonly items: readonly PublicationItem[];
  },
  state: CardState,
): Card | undefined {
  const { importance } = survey;
  const listed = survey.outputs.filter((_, index) => state.items.has(items[index]!.name));
  const evaluated = listed.flatMap(({ type }) => journal.item(type)?.evaluated?.measurement ?? []);
  const reported = card.reports.flatMap(({ evaluation }) => evaluation ?? []);
  const outputs = listed.map(({ type, files, bitsPerWeight }) => ({
    type,
    bitsPerWeight,
    files: files.map(({ path, fileSize }) => ({ name: basename(path), bytes: fileSize })),
    figures: {
      ...journal.item(type)?.made?.figures,
      ...measuredFigures(
        card.reports,
        files.map(({ path }) => basename(path)),
      ),
      ...journal.item(type)?.evaluated?.figures,
    },
  }));
  if (outputs.length === 0) return undefined;
  return ggufCard({
    repository: target.id,
    baseModel: card.baseModel,
    commit: card.commit,
    architecture: survey.architecture,
    name: survey.checkpoint.name,
    sourceCard: card.sourceCard,
    task: card.task,
    quantizedBy: card.quantizedBy,
    tool: survey.tool,
    outputs,
    importance: importance && { file: basename(importance.file), datasets: importance.datasets },
    settings: card.settings,
    measurement: commonMeasurement([...evaluated, ...reported.map((report) => measurementOf([report])!)]),
    earlier: markedSection(state.existing),
    files: state.files,
  });
}
