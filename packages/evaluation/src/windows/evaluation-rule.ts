import { QuernError } from "@quern/tensor";

/** How texts are cut in windows, and which positions count. */
export interface EvaluationRule {
  /** Tokens of a window. */
  readonly context: number;
  readonly score: ScoredPart;
}

/**
 * - "half": the convention of llama-perplexity (tools/perplexity/perplexity.cpp of llama.cpp). The first token of each window is
 *   replaced by BOS where the vocabulary adds BOS; positions from the middle on predict the next token, so that each has half a
 *   window before it.
 * - "all": the convention of papers that use the transformers library. No special tokens; all positions predict the next token.
 */
export type ScoredPart = "half" | "all";

interface PartTraits {
  /** First position that predicts the token after it. */
  readonly first: (context: number) => number;
  /** Whether windows begin with what the model's conventions put before a text. */
  readonly specialTokens: boolean;
}

const PARTS: Readonly<Record<ScoredPart, PartTraits>> = {
  half: { first: (context) => Math.floor(context / 2), specialTokens: true },
  all: { first: () => 0, specialTokens: false },
};

/** All parts that can be scored. */
export const SCORED_PARTS = Object.keys(PARTS) as readonly ScoredPart[];

/** llama-perplexity's. */
export const DEFAULT_RULE: EvaluationRule = { context: 512, score: "half" };

const SHORTEST_CONTEXT = 4;

/** Which positions of a window count. */
export interface ScoredPositions {
  readonly first: number;
  /** They are next to each other; the last token of the window predicts nothing that is known. */
  readonly count: number;
}

/** @throws QuernError `EVALUATION_OPTION_INVALID` */
export function scoredPositions({ context, score }: EvaluationRule): ScoredPositions {
  if (!Number.isSafeInteger(context) || context < SHORTEST_CONTEXT) {
    throw new QuernError(
      "EVALUATION_OPTION_INVALID",
      `context must be a whole number from ${SHORTEST_CONTEXT} on, not ${context}.`,
      { subject: { key: "context" } },
    );
  }
  const first = PARTS[score].first(context);
  return { first, count: context - 1 - first };
}

/** Whether windows begin with what the model's conventions put before a text. */
export function usesSpecialTokens({ score }: EvaluationRule): boolean {
  return PARTS[score].specialTokens;
}
