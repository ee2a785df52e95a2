import type { PositionScores } from "../measures/position-scores.ts";
import { summarizeScores } from "../measures/summarize-scores.ts";
import type { EvaluationPlan } from "../planning/evaluation-plan.ts";
import type { EvaluatedModel, EvaluationReport } from "../report.ts";

/** What scores of all windows, in order, amount to. */
export function reportOf(params: {
  readonly plan: EvaluationPlan;
  readonly scores: readonly PositionScores[];
  readonly seconds: number;
}): EvaluationReport {
  const { plan, scores, seconds } = params;
  const { corpus, confidence, positions, threads, kernels, tool } = plan;
  const { rule, windows } = corpus;
  const byDomain = corpus.domains.map((_, domain) =>
    scores.filter((_, index) => windows[index]!.domain === domain),
  );
  const named = corpus.domains
    .map((name, index) => ({ name, domains: [byDomain[index]!] }))
    .filter(({ domains: [scored] }) => scored!.length > 0);
  const tokens = windows.length * rule.context;
  const models = plan.reference?.kind === "model" && plan.kept === undefined ? 2 : 1;
  return {
    format: "quern-evaluation",
    version: 1,
    tool,
    model: plan.model.facts,
    ...(plan.reference === undefined ? {} : { reference: referenceFacts(plan.reference) }),
    corpus: {
      hash: corpus.hash,
      tokenizer: corpus.tokenizer,
      ...rule,
      windows: windows.length,
      tokens,
      positions: windows.length * positions.count,
    },
    confidence,
    domains: named.map((domain) => summarizeScores({ ...domain, confidence })),
    total: summarizeScores({ name: "all", domains: byDomain, confidence }),
    run: {
      seconds,
      tokensPerSecond: (models * tokens) / seconds,
      peakMemory: process.resourceUsage().maxRSS * 1024,
      threads,
      kernels,
    },
  };
}

function referenceFacts(
  reference: NonNullable<EvaluationPlan["reference"]>,
): EvaluatedModel & { likeliest?: number } {
  if (reference.kind === "model") return reference.facts;
  const { model, likeliest } = reference.saved.header;
  return { ...model, likeliest };
}
