export type {
  EvaluationDoneEvent,
  EvaluationEvent,
  EvaluationOutputDoneEvent,
  EvaluationProgressEvent,
  EvaluationStartEvent,
} from "./events.ts";
export { DEFAULT_CONFIDENCE } from "./measures/bootstrap.ts";
export type { Confidence } from "./measures/bootstrap.ts";
export { compareLogits, summarizeLogits } from "./measures/score-logits.ts";
export type { LogitComparison, LogitSummary } from "./measures/score-logits.ts";
export { openEvaluationText } from "./node/open-evaluation-text.ts";
export { openReference } from "./node/open-reference.ts";
export type { SavedReference } from "./node/open-reference.ts";
export type { MemoryDivision } from "./planning/divide-memory.ts";
export type { EvaluationModel } from "./planning/evaluation-model.ts";
export type { EvaluationInput, EvaluationPlan, EvaluationRequest } from "./planning/evaluation-plan.ts";
export { planEvaluation } from "./planning/plan-evaluation.ts";
export { DEFAULT_LIKELIEST } from "./planning/plan-save.ts";
export type { ReferenceHeader } from "./reference/reference-header.ts";
export type {
  Comparison,
  DomainReport,
  Estimate,
  EvaluatedModel,
  EvaluationReport,
  Histogram,
  Percentile,
  Spread,
} from "./report.ts";
export { evaluate } from "./running/evaluate.ts";
export type { EvaluateOptions } from "./running/evaluate.ts";
export { runReference } from "./running/run-reference.ts";
export type { KeptReference } from "./running/run-reference.ts";
export { DEFAULT_RULE, SCORED_PARTS } from "./windows/evaluation-rule.ts";
export type { EvaluationRule, ScoredPart, ScoredPositions } from "./windows/evaluation-rule.ts";
export type { EvaluationCorpus, EvaluationWindow } from "./windows/evaluation-windows.ts";
export type { Vocabulary } from "./vocabulary.ts";
