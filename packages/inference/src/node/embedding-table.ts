import type { EmbeddingGraph, ParameterSet } from "@quern/models";
import { QuernError } from "@quern/tensor";
import type { RunnableModel } from "../model.ts";
import type { ModelWindow } from "../window.ts";
import type { ParameterSource } from "./parameter-source.ts";

/** The embedding of a vocabulary that has only the tokens that occur, by numbers of its own. */
export interface EmbeddingTable {
  readonly graph: EmbeddingGraph;
  readonly parameters: ParameterSet;
  /** The same windows in the numbers of this vocabulary. */
  renumbered(window: ModelWindow): ModelWindow;
}

/**
 * Reads what windows need of the token embedding: vocabularies are large, and texts use a small part of them.
 *
 * @throws QuernError `FORWARD_TOKENS` for a token that the model lacks, and what reading weights throws
 */
export async function embeddingTable(params: {
  model: RunnableModel;
  parameters: ParameterSource;
  windows: readonly ModelWindow[];
}): Promise<EmbeddingTable> {
  const { model, parameters, windows } = params;
  const { embedding } = model.graph;
  const ids = distinctTokens(windows, embedding.tokens);
  const numbers = new Map(ids.map((id, number) => [id, number]));
  const tableName = `${embedding.module}.weight`;
  const others = await parameters.load(embedding.tensors.filter((name) => name !== tableName));
  return {
    graph: { ...embedding, tokens: ids.length },
    parameters: new Map([...others, [tableName, await parameters.loadRows(tableName, ids)]]),
    renumbered: ({ tokens, starts }) => ({ tokens: tokens.map((id) => numbers.get(id)!), starts }),
  };
}

/** In ascending order. */
function distinctTokens(windows: readonly ModelWindow[], vocabularySize: number): number[] {
  const distinct = new Set<number>();
  for (const [index, { tokens }] of windows.entries()) {
    const wrong = tokens.findIndex((token) => token < 0 || token >= vocabularySize);
    if (wrong >= 0) {
      throw new QuernError(
        "FORWARD_TOKENS",
        `token ${wrong} of window ${index} is ${tokens[wrong]}: expected an id from 0 to ${vocabularySize - 1}`,
        { subject: { offset: wrong } },
      );
    }
    for (const token of tokens) distinct.add(token);
  }
  return [...distinct].sort((a, b) => a - b);
}
