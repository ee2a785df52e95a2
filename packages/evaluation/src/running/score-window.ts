import type { TaskResources } from "@quern/inference";
import { QuernError } from "@quern/tensor";
import type { PositionScores } from "../measures/position-scores.ts";
import type { LogitSummary } from "../measures/score-logits.ts";
import { emptyRows, keepRow, type ReferenceRows } from "../reference/reference-rows.ts";
import type { ScoredPositions } from "../windows/evaluation-rule.ts";
import { logitRows, type ScoredModel } from "./logit-rows.ts";
import { createScorer, type ScoreReference } from "./scorers.ts";

/** A window to be scored. */
export interface ScoreTask {
  readonly kind: "score";
  /** Number of the window, for messages. */
  readonly index: number;
  readonly tokens: Int32Array;
  readonly positions: ScoredPositions;
  /** Positions of which there are logits at once: they take this times the vocabulary, for each model. */
  readonly rows: number;
  readonly model: ScoredModel;
  readonly reference?: ScoreReference;
  /** Keeps as many tokens of each position for `ScoreResult.kept`. */
  readonly likeliest?: number;
}

export interface ScoreResult {
  readonly scores: PositionScores;
  readonly kept?: ReferenceRows;
}

/**
 * Scores a window: logits are made of some positions at a time, and reduced to a few figures of each.
 *
 * @throws QuernError `ACTIVATION_NOT_FINITE`
 */
export function scoreWindow(resources: TaskResources, task: ScoreTask): ScoreResult {
  const { tokens, positions, rows, model, reference, likeliest } = task;
  const scorer = createScorer({ resources, reference, positions: positions.count });
  const loss = new Float64Array(positions.count);
  const kept = likeliest === undefined ? undefined : emptyRows(positions.count, likeliest);
  for (let begun = 0; begun < positions.count; begun += rows) {
    const part = { first: positions.first + begun, count: Math.min(rows, positions.count - begun) };
    resources.workspace.clear();
    scorer.begin(part);
    for (const [row, logits] of logitRows(resources, model, part).entries()) {
      const position = begun + row;
      const right = tokens[part.first + row + 1]!;
      const summaries = scorer.score({ position, row, logits, right });
      const { model: summary } = summaries;
      checkFinite(task, { ...summaries, token: part.first + row });
      loss[position] = summary.logSum - logits[right]!;
      if (kept !== undefined) keepRow(kept, position, { logits, summary, right });
    }
  }
  const { comparison } = scorer;
  return {
    scores: { loss, ...(comparison === undefined ? {} : { comparison }) },
    ...(kept === undefined ? {} : { kept }),
  };
}

function checkFinite(
  { index, model, reference }: ScoreTask,
  found: { readonly model: LogitSummary; readonly reference?: LogitSummary; readonly token: number },
): void {
  const culprit = !Number.isFinite(found.model.logSum)
    ? model
    : found.reference !== undefined && !Number.isFinite(found.reference.logSum)
      ? (reference as ScoredModel)
      : undefined;
  if (culprit === undefined) return;
  throw new QuernError(
    "ACTIVATION_NOT_FINITE",
    `${culprit.name}: the output layer makes logits that are not finite of token ${found.token} of window ${index}: weights may be damaged`,
    { subject: { file: culprit.name, key: "output" } },
  );
}
