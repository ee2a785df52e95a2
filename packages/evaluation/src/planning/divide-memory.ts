import { parameterBytes, type RunnableModel } from "@quern/inference";
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
}

/**
 * Divides memory: first the weights of the largest block, or of the output layers if these are larger, and what each thread has in
 * hand. At most half of what is left is for logits of several positions at once, the rest for hidden states between blocks.
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
  const vocabulary = models[0]!.vocabularySize;
  // Those of the positions before may not have been collected yet.
  const rowBytes = 2 * vocabulary * BYTES_PER_NUMBER * models.length;
  const activations = Math.max(...models.map((model) => activationBytes(model, context)));
  const outputs = sum(models.map((model) => parameterBytes(model, model.graph.output.tensors)));
  const blocks = models.flatMap((model) =>
    model.graph.blocks.map(({ tensors }) => parameterBytes(model, tensors)),
  );
  const weights = Math.max(outputs, ...blocks);
  const inHand = Math.max(threads, 1);
  const least = weights + inHand * (activations + rowBytes);
  if (least > budget) {
    const message = `memory: ${budget} bytes are too little for this; ${least} are the least`;
    throw new QuernError("EVALUATION_MEMORY", message, { subject: { key: "memory" } });
  }
  const affordable = 1 + Math.floor((budget - least) / 2 / (inHand * rowBytes));
  const rows = Math.max(Math.min(MOST_ROWS, Math.floor(LOGIT_BYTES / rowBytes), affordable), 1);
  const fixed = least + inHand * (rows - 1) * rowBytes;
  const states = sum(models.slice(0, running).map((model) => stateBytes(model, corpus)));
  const kept = Math.min(states, budget - fixed);
  return { budget, used: fixed + kept, states: kept, spilled: states - kept, rows };
}

/** Hidden states of all windows. */
export function stateBytes({ graph }: RunnableModel, { windows, rule }: EvaluationCorpus): number {
  return windows.length * rule.context * graph.embedding.width * BYTES_PER_NUMBER;
}

/** What the evaluation of a block has at once, about: some arrays as wide as the hidden state, some as the widest layer. */
function activationBytes({ graph, inputs }: RunnableModel, context: number): number {
  const widest = Math.max(...inputs.flat().map(({ columns, rowsPerToken }) => columns * rowsPerToken));
  return BYTES_PER_NUMBER * context * (4 * graph.embedding.width + 3 * widest);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
