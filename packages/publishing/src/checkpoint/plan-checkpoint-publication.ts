import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { openModel } from "@quern/checkpoints/node";
import type { ModelSource } from "@quern/pipeline";
import {
  type CheckpointPlan,
  plannedCheckpoint,
  writeCheckpoint,
  type WriteCheckpointOptions,
} from "@quern/pipeline/layers";
import type { ReportContents } from "@quern/reports";
import { checkpointCard } from "../card/checkpoint-card.ts";
import { measuredFigures, measurementOf, reportsOf } from "../card/measured.ts";
import type { Card } from "../card/merge-card.ts";
import type { PlanItemEvaluation } from "../evaluation.ts";
import { itemStates } from "../item-states.ts";
import type { PublicationJournal } from "../journal.ts";
import { openTarget } from "../open-target.ts";
import { peakMemoryOf } from "../peak-memory.ts";
import type { PublicationGroup, PublicationPlan, PublicationTarget } from "../plan.ts";
import { checkpointItem } from "./checkpoint-item.ts";
import { refuseForeignWeights } from "./refuse-foreign-weights.ts";

export interface PlanCheckpointPublicationParams {
  readonly target: PublicationTarget;
  /** Of the recipe. */
  readonly name: string;
  readonly source: ModelSource;
  /** What decides about the bytes beside the source, as plain data: recipe, options, hashes of statistics. */
  readonly recipe: unknown;
  /** "quern 1.0.0" */
  readonly tool: string;
  /** Folder that is made, in `directory`. */
  readonly folder: string;
  readonly directory: string;
  readonly journal: PublicationJournal;
  /** Plans the checkpoint, for `folder`, which may be replaced or not. */
  readonly planCheckpoint: (force: boolean) => Promise<CheckpointPlan>;
  /** Runs the plan. @default by this process alone */
  readonly write?: (
    plan: CheckpointPlan,
    options: Pick<WriteCheckpointOptions, "signal" | "onEvent">,
  ) => Promise<unknown>;
  /** Account that gets the credit. */
  readonly quantizedBy?: string;
  /** Of evaluations of the folder. */
  readonly reports?: readonly ReportContents[];
  /** Plans to measure the checkpoint before it is uploaded: divergence and perplexity for the card. */
  readonly planEvaluation?: PlanItemEvaluation;
  readonly force?: boolean;
  readonly deletesLocal?: boolean;
}

/**
 * Plans a quantized checkpoint in safetensors and its upload: one commit with all files of the folder. Its card is the one that lies in the
 * folder.
 *
 * @throws QuernError those of `planCheckpoint`; `PUBLISH_OTHER_RUN`, `PUBLISH_REPOSITORY_*`; `HUB_*`
 */
export async function planCheckpointPublication(
  params: PlanCheckpointPublicationParams,
): Promise<PublicationPlan> {
  const { target, folder, directory, journal, force = false, deletesLocal = false } = params;
  const { write = writeCheckpoint } = params;
  const repository = await openTarget({
    ...target,
    ...(journal.pullRequest && { branch: journal.pullRequest.branch }),
  });
  if (repository !== undefined && !force) refuseForeignWeights(repository);
  const known = await checkpointItem({ ...params, bytes: 0 });
  const [{ state }] = (await itemStates({ items: [known], journal, repository })) as [
    PublicationPlan["items"][0],
  ];
  const mayReplace = force || journal.owns(folder);
  const plan = state === "planned" ? await params.planCheckpoint(mayReplace) : undefined;
  const recorded = journal.item(known.name)?.files ?? (await known.findFiles()) ?? [];
  const bytes = plan?.fileSize ?? recorded.reduce((sum, file) => sum + file.bytes, 0);
  const item = { ...known, bytes };
  const evaluation = await params.planEvaluation?.([
    plan === undefined ? await openOr(folder, params.source) : plannedCheckpoint(plan),
  ]);
  const groups: PublicationGroup[] = [];
  if (plan !== undefined) {
    const { sourceBytes, networkBytesLeft: networkBytes, resources } = plan;
    groups.push({
      items: [item],
      sourceBytes,
      networkBytes,
      peakMemory: resources.peakMemory,
      make: async ({ signal, onEvent, note }) => {
        await write(plan, { onEvent, ...(signal === undefined ? {} : { signal }) });
        await note([{ figures: {} }]);
      },
    });
  }
  return {
    target: { ...target, exists: repository !== undefined },
    items: [{ item, state }],
    groups,
    directory,
    deletesLocal,
    ...(evaluation && { evaluation }),
    peakMemory: peakMemoryOf({ groups, evaluation }),
    makeCard: () => cardOf(params),
    journal,
    warnings: plan?.warnings ?? [],
  };
}

/** The folder, or what it was made of where it is not there any more: texts and windows are the same. */
async function openOr(folder: string, source: ModelSource): Promise<ModelSource> {
  return existsSync(join(folder, "config.json")) ? openModel(folder) : source;
}

async function cardOf({
  folder,
  name,
  journal,
  quantizedBy,
  reports = [],
}: PlanCheckpointPublicationParams): Promise<Card | undefined> {
  const text = await readFile(join(folder, "README.md"), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const evaluated = journal.item(name)?.evaluated;
  const known = reportsOf(reports, [basename(folder)]);
  return checkpointCard({
    text,
    quantizedBy,
    figures: evaluated?.figures ?? measuredFigures(known, [basename(folder)]),
    measurement: evaluated?.measurement ?? measurementOf(known.flatMap(({ evaluation }) => evaluation ?? [])),
  });
}
