import { evaluatedFigures, measurementOf } from "../card/measured.ts";
import type { PublicationEvent } from "../events.ts";
import type { PublicationItem, PublicationPlan } from "../plan.ts";
import type { ProgressSum } from "./progress-sum.ts";

/** Evaluates an item, if that is asked for, its files are here, and the journal does not have the figures. */
export async function evaluateItem(params: {
  readonly item: PublicationItem;
  readonly plan: PublicationPlan;
  readonly progress: ProgressSum;
  readonly emit: (event: PublicationEvent) => void;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { item, plan, progress, emit, signal } = params;
  const { evaluation, journal } = plan;
  const { name } = item;
  if (evaluation === undefined) return;
  const { identity } = evaluation;
  if (journal.item(name)?.evaluated?.identity === identity) return;
  if ((await item.findFiles()) === undefined) return;
  emit({ type: "item:evaluate", item: name });
  const record = await evaluation.evaluate({
    path: item.targets[0]!,
    signal,
    onProgress: (place) => progress.at(place),
  });
  const figures = evaluatedFigures(record);
  await journal.evaluated(name, { identity, figures, measurement: measurementOf([record])! });
  emit({ type: "item:evaluated", item: name, figures });
}
