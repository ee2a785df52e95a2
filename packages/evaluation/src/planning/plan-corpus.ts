import { QuernError } from "@quern/tensor";
import type { SavedReference } from "../node/open-reference.ts";
import type { EvaluationRule } from "../windows/evaluation-rule.ts";
import { type EvaluationCorpus, evaluationWindows } from "../windows/evaluation-windows.ts";
import type { EvaluationModel } from "./evaluation-model.ts";
import type { EvaluationInput, EvaluationRequest } from "./evaluation-plan.ts";

/** Windows of the texts, or those of a saved reference; where both are there, they have to be the same. */
export async function planCorpus(
  request: EvaluationRequest,
  params: {
    readonly rule: EvaluationRule;
    readonly model: EvaluationModel;
    readonly saved: SavedReference | undefined;
  },
): Promise<EvaluationCorpus> {
  const { sources, limit } = request;
  const { rule, model, saved } = params;
  if (saved !== undefined) {
    const { context, score } = saved.header.rule;
    if (rule.context !== context || rule.score !== score) {
      throw otherWindows(saved, `windows of ${context} tokens, with --score ${score}`);
    }
    if (sources === undefined) {
      if (limit === undefined) return saved.corpus;
      throw otherWindows(saved, `${saved.header.windows} windows, and all of them count`);
    }
  }
  if (sources === undefined) {
    throw new QuernError("EVALUATION_OPTION_INVALID", "sources: expected texts", {
      subject: { key: "sources" },
    });
  }
  const corpus = await evaluationWindows({
    sources,
    tokenizer: request.model.tokenizer,
    rule,
    vocabularySize: model.facts.vocabularySize,
    ...(limit === undefined ? {} : { limit }),
  });
  if (saved !== undefined && saved.header.hash !== corpus.hash) {
    throw otherWindows(
      saved,
      `other windows (${saved.header.domains.join(", ")}, read with ${saved.header.tokenizer})`,
    );
  }
  return corpus;
}

function otherWindows({ header }: SavedReference, has: string): QuernError {
  return new QuernError(
    "EVALUATION_REFERENCE_MISMATCH",
    `the saved reference ${header.model.name} has ${has}: leave texts and rules out to take its own`,
  );
}

/** Both models get the same tokens, whatever the tokenizer of the reference would have made of the texts. */
export async function tokenizerWarnings(
  { sources, limit, model }: EvaluationRequest,
  { tokenizer }: EvaluationInput,
  corpus: EvaluationCorpus,
): Promise<QuernError[]> {
  const theirs = await evaluationWindows({
    sources: sources!,
    tokenizer,
    rule: corpus.rule,
    vocabularySize: Number.POSITIVE_INFINITY,
    ...(limit === undefined ? {} : { limit }),
  }).catch((error: unknown) => {
    if (error instanceof QuernError) return undefined;
    throw error;
  });
  if (theirs?.hash === corpus.hash) return [];
  return [
    new QuernError(
      "EVALUATION_TOKENIZERS_DIFFER",
      `${tokenizer.name} reads these texts otherwise than ${model.tokenizer.name}; both models get the tokens of the latter`,
    ),
  ];
}
