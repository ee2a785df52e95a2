import type { Checkpoint, CheckpointTensor, GgufModel, GgufModelTensor } from "@quern/checkpoints";
import { openRunnable, type RunnableModel } from "@quern/inference";
import { describeSource } from "@quern/models";
import { QuernError } from "@quern/tensor";
import type { EvaluatedModel } from "../report.ts";
import type { EvaluationRule } from "../windows/evaluation-rule.ts";
import { type Vocabulary, vocabularyOf } from "../vocabulary.ts";

/** A model that is going to be evaluated, or compared with: nothing of its weights has been read. */
export interface EvaluationModel {
  readonly runnable: RunnableModel;
  readonly facts: EvaluatedModel;
  readonly vocabulary: Vocabulary;
}

/**
 * @throws QuernError `EVALUATION_NO_LOGITS` for an encoder, `EVALUATION_CONTEXT` for windows that are longer than the model has
 * positions, and the codes of `openRunnable`
 */
export async function openEvaluationModel(
  source: Checkpoint | GgufModel,
  rule: EvaluationRule,
): Promise<EvaluationModel> {
  const runnable = await openRunnable(source);
  const { name, graph } = runnable;
  if (graph.output.projection === undefined) {
    throw new QuernError(
      "EVALUATION_NO_LOGITS",
      `${name} is an encoder (${runnable.architecture}): expected a model that predicts the next token`,
      { subject: { file: name } },
    );
  }
  const { positions } = graph.embedding;
  if (positions !== undefined && rule.context > positions.count) {
    throw new QuernError(
      "EVALUATION_CONTEXT",
      `windows of ${rule.context} tokens: ${name} has positions for ${positions.count}`,
      { subject: { key: "context" } },
    );
  }
  const vocabulary = vocabularyOf(name, await describeSource(source));
  return { runnable, facts: factsOf(runnable, source), vocabulary };
}

function factsOf(model: RunnableModel, source: Checkpoint | GgufModel): EvaluatedModel {
  const { name, architecture, identity, vocabularySize, tensors } = model;
  const inputs = new Map<string, number>();
  for (const { type } of model.quantizedInputs.values()) inputs.set(type, (inputs.get(type) ?? 0) + 1);
  const stored: Iterable<CheckpointTensor & Partial<GgufModelTensor>> = source.tensors.values();
  const bytes = new Map<string, number>();
  for (const { type, ggmlType = type, size } of stored)
    bytes.set(ggmlType, (bytes.get(ggmlType) ?? 0) + size);
  let parameters = 0;
  for (const { shape } of tensors.values()) parameters += shape.reduce((product, size) => product * size, 1);
  return {
    name,
    architecture,
    identity,
    vocabularySize,
    parameters,
    bytes: source.totalBytes,
    types: Array.from(bytes, ([type, size]) => ({ type, bytes: size })).sort((a, b) => b.bytes - a.bytes),
    ...(inputs.size > 0 && { quantizedInputs: Array.from(inputs, ([type, layers]) => ({ type, layers })) }),
  };
}
