import type { TaskResources } from "@quern/inference";
import type { PositionScores } from "../measures/position-scores.ts";
import { compareLogits, type LogitSummary, summarizeLogits } from "../measures/score-logits.ts";
import { compareWithLikeliest } from "../reference/compare-with-likeliest.ts";
import { type ReferenceRows, rowAt } from "../reference/reference-rows.ts";
import type { ScoredPositions } from "../windows/evaluation-rule.ts";
import { logitRows, type ScoredModel } from "./logit-rows.ts";

/** What a model is compared with. */
export type ScoreReference =
  | ({ readonly kind: "model" } & ScoredModel)
  | ({ readonly kind: "likeliest" } & ReferenceRows);

/** A row of logits of the model that is scored. */
interface ScoredRow {
  /** Number among the scored positions of the window. */
  readonly position: number;
  /** Number in the part. */
  readonly row: number;
  readonly logits: Float32Array;
  /** The token that comes next. */
  readonly right: number;
}

/** Compares positions of a window with a reference. */
export interface Scorer {
  /** Makes ready for some of the positions, next to each other; what it takes of the workspace stays there until it is cleared. */
  begin(part: ScoredPositions): void;
  /** Fills in the figures of a position. @returns what the logits say, of the reference too where it has any */
  score(row: ScoredRow): { readonly model: LogitSummary; readonly reference?: LogitSummary };
  /** Filled position by position. */
  readonly comparison?: NonNullable<PositionScores["comparison"]>;
}

export function createScorer(params: {
  readonly resources: TaskResources;
  readonly reference: ScoreReference | undefined;
  /** Scored positions of the window. */
  readonly positions: number;
}): Scorer {
  const { resources, reference, positions } = params;
  if (reference === undefined)
    return { begin: () => {}, score: ({ logits }) => ({ model: summarizeLogits(logits) }) };
  return reference.kind === "model"
    ? againstModel(resources, reference, positions)
    : againstLikeliest(reference, positions);
}

function againstModel(resources: TaskResources, reference: ScoredModel, positions: number): Scorer {
  const comparison = emptyComparison(positions);
  let rows: readonly Float32Array[] = [];
  return {
    comparison,
    begin(part) {
      rows = logitRows(resources, reference, part);
    },
    score({ position, row, logits, right }) {
      const others = rows[row]!;
      const { divergence, ...summaries } = compareLogits(others, logits);
      comparison.referenceLoss[position] = summaries.reference.logSum - others[right]!;
      comparison.divergence[position] = divergence;
      comparison.agrees[position] = Number(summaries.reference.top === summaries.model.top);
      return summaries;
    },
  };
}

function againstLikeliest(reference: ReferenceRows, positions: number): Scorer {
  const bounds = { low: new Float64Array(positions), high: new Float64Array(positions) };
  const comparison = { ...emptyComparison(positions), bounds };
  return {
    comparison,
    begin: () => {},
    score({ position, logits }) {
      const summary = summarizeLogits(logits);
      const row = rowAt(reference, position);
      const { value, low, high } = compareWithLikeliest({ reference: row, logits, summary });
      comparison.referenceLoss[position] = -reference.right[position]!;
      comparison.divergence[position] = value;
      comparison.agrees[position] = Number(row.tokens[0] === summary.top);
      bounds.low[position] = low;
      bounds.high[position] = high;
      return { model: summary };
    },
  };
}

function emptyComparison(positions: number): {
  referenceLoss: Float64Array;
  divergence: Float64Array;
  agrees: Uint8Array;
} {
  return {
    referenceLoss: new Float64Array(positions),
    divergence: new Float64Array(positions),
    agrees: new Uint8Array(positions),
  };
}
