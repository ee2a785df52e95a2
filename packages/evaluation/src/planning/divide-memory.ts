import { parameterBuffers, parameterGarbage, rowBytes, type RunnableModel } from "@quern/inference";
import { blockActivations, embeddingActivations, outputActivations } from "@quern/models";
import { QuernError } from "@quern/tensor";
import type { EvaluationCorpus } from "../windows/evaluation-windows.ts";

const BYTES_PER_NUMBER = 4;

/** Logits of a thread at once, all models together. */
const LOGIT_BYTES = 64 * 2 ** 20;

/** More make the output layer no faster: its weights are unpacked for all of them once. */
const MOST_ROWS = 64;

/** How the memory budget is used; bytes. */
export interface MemoryDivision {
  readonly budget: number;
  readonly used: number;
  /** For hidden states of all models; what is left of them goes to files. */
  readonly states: number;
  /** Hidden states that go to files. */
  readonly spilled: number;
  /** Positions of a window of which there are logits at once. */
  readonly rows: number;
  /**
   * What is not used any more, and may be there all the same, beyond the budget: the garbage collector takes little notice of weights in memory
   * that threads share. Of all models that of their blocks, when their output layers are loaded; and what weights were unpacked to.
   */
  readonly released: number;
}

/**
 * Divides memory: first the weights of the largest block, or of the output layers if these are larger, and the workspace of each thread, for a
 * window in a block or for logits. At most half of what is left is for logits of several positions at once, the rest for hidden states between
 * blocks.
 *
 * @param params.running How many of the models, from the first on, go through their blocks. @default all
 * @throws QuernError `EVALUATION_MEMORY` when the least that would do is more than the budget
 */
export function divideMemory(params: {
  readonly budget: number;
  readonly models: readonly RunnableModel[];
  readonly corpus: EvaluationCorpus;
  readonly threads: number;
  readonly running?: number;
}): MemoryDivision {
  const { budget, models, corpus, threads, running = models.length } = params;
  const { context } = corpus.rule;
  const logitBytes = sum(models.map(logitRowBytes));
  const activations = Math.max(...models.map((model) => activationBytes(model, context)));
  const workspace = (rows: number): number => Math.max(activations, rows * logitBytes);
  const outputs = sum(models.map((model) => parameterBuffers(model, [model.graph.output.tensors])));
  const blocks = models.map((model) => blockWeights(model, corpus));
  const weights = Math.max(outputs, ...blocks);
  const released = outputs + sum(blocks) - weights + Math.max(...models.map(parameterGarbage));
  const inHand = Math.max(threads, 1);
  const least = weights + inHand * workspace(1);
  if (least > budget) {
    const message = `memory: ${budget} bytes are too little for this; ${least} are the least`;
    throw new QuernError("EVALUATION_MEMORY", message, { subject: { key: "memory" } });
  }
  const affordable = Math.floor((workspace(1) + (budget - least) / 2 / inHand) / logitBytes);
  const rows = Math.max(Math.min(MOST_ROWS, Math.floor(LOGIT_BYTES / logitBytes), affordable), 1);
  const fixed = weights + inHand * workspace(rows);
  const states = sum(models.slice(0, running).map((model) => stateBytes(model, corpus)));
  const kept = Math.min(states, budget - fixed);
  return { budget, used: fixed + kept, states: kept, spilled: states - kept, rows, released };
}

/** Hidden states of all windows. */
export function stateBytes({ graph }: RunnableModel, { windows, rule }: EvaluationCorpus): number {
  return windows.length * rule.context * graph.embedding.width * BYTES_PER_NUMBER;
}

/** Weights of one block after another, and rows of the embedding, whose memory stays until the model has gone through its blocks. */
function blockWeights(model: RunnableModel, { windows }: EvaluationCorpus): number {
  const { embedding, blocks } = model.graph;
  const table = `${embedding.module}.weight`;
  const tokens = new Set(windows.flatMap((window) => [...window.tokens]));
  return (
    rowBytes(model, table, tokens.size) +
    parameterBuffers(model, [
      embedding.tensors.filter((name) => name !== table),
      ...blocks.map(({ tensors }) => tensors),
    ])
  );
}

/** What the evaluation of a window has at once, in the embedding or in any of the blocks. */
function activationBytes({ graph }: RunnableModel, context: number): number {
  const numbers = [embeddingActivations(graph.embedding), ...graph.blocks.map(blockActivations)];
  return BYTES_PER_NUMBER * context * Math.max(...numbers);
}

/** What the logits of a position take. */
function logitRowBytes({ graph }: RunnableModel): number {
  return BYTES_PER_NUMBER * outputActivations(graph.output, graph.embedding.width);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
