import type { Checkpoint, GgufModel } from "@quern/checkpoints";
import type { EvaluationInput, EvaluationRequest, EvaluationRule } from "@quern/evaluation";
import { tool } from "../version.ts";
import { type ModelText, openModelText } from "./model-text.ts";
import type { ResourceOptions } from "./shared-options.ts";

/** A model with the tokenizer that evaluations read texts by: conventions of llama.cpp read as llama.cpp does, those of transformers as they do. */
export async function evaluationInput(
  source: Checkpoint | GgufModel,
  score: EvaluationRule["score"],
): Promise<{ input: EvaluationInput; chatTemplate: ModelText["chatTemplate"] }> {
  const as = score === "half" ? "llama.cpp" : "original";
  const { tokenizer, chatTemplate } = await openModelText({ source, as });
  return { input: { source, tokenizer }, chatTemplate };
}

/** What evaluations have of the options of all commands that run models. */
export function evaluationResources({
  memory,
  threads,
  kernels,
}: ResourceOptions): Pick<EvaluationRequest, "tool" | "memory" | "threads" | "backend"> {
  return {
    tool,
    ...(memory === undefined ? {} : { memory }),
    ...(threads === undefined ? {} : { threads }),
    ...(kernels === undefined ? {} : { backend: kernels }),
  };
}
