import type { EvaluationPlan } from "@quern/evaluation";
import type { ModelSource } from "@quern/pipeline";
import { networkOf } from "../format/network.ts";

/** A plan as `--json` reports it. */
export function evaluationPlanRecord(
  plan: EvaluationPlan,
  sources: readonly ModelSource[],
): Record<string, unknown> {
  const { model, reference, corpus, positions, save, memory, threads, kernels, estimate, warnings } = plan;
  const { rule, hash, tokenizer, domains, windows } = corpus;
  return {
    type: "plan",
    model: model.facts,
    ...(reference?.kind === "model" && { reference: reference.facts }),
    ...(reference?.kind === "saved" && {
      reference: { ...reference.saved.header.model, likeliest: reference.saved.header.likeliest },
    }),
    corpus: {
      hash,
      tokenizer,
      domains,
      ...rule,
      windows: windows.length,
      tokens: windows.length * rule.context,
      positions: windows.length * positions.count,
    },
    ...(save && { file: { path: save.path, bytes: save.bytes, replaces: save.replaces } }),
    networkBytes: networkOf(sources).reduce((sum, { bytes }) => sum + bytes, 0),
    memory,
    threads,
    kernels,
    estimate,
    warnings: warnings.map(({ code, message, subject }) => ({ code, message, subject })),
  };
}
