import { slice } from "../expressions/operations/slice.ts";
import type { Architecture, Module } from "./architecture.ts";
import { bert } from "./bert.ts";
import type { Config } from "./config.ts";
import { uint32 } from "./hyperparameters.ts";

/** Rows of the position embedding that no token has: positions are counted from the one after the padding token's id. */
function unusedPositions(config: Config): number {
  const padding = config.optionalInteger("pad_token_id");
  return padding === undefined ? 0 : padding + 1;
}

function contextLength(config: Config): number {
  const positions = config.integer("max_position_embeddings") - unusedPositions(config);
  if (positions > 0) return positions;
  throw config.error(
    ["max_position_embeddings"],
    `more than ${unusedPositions(config)}, the first that is used`,
  );
}

/** jina-embeddings-v3 is of the same class, and has adapters for tasks that would become files of their own. */
function checkAdapters(config: Config): void {
  if (config.value("lora_adaptations") !== undefined) {
    throw config.error(["lora_adaptations"], "a model without adapters for tasks");
  }
}

const positionEmbedding: Module = {
  role: "position-embedding",
  name: "position_embd",
  hf: "embeddings.position_embeddings",
  hasBias: "never",
  weight: [
    {
      from: ["embeddings.position_embeddings.weight"],
      make: ([table], { config }) =>
        slice(table!.expression, { axis: 0, start: unusedPositions(config), stop: table!.shape[0] ?? 0 }),
    },
  ],
};

/** XLM-RoBERTa as an embedding model (conversion/bert.py, `XLMRobertaModel`): BERT with other positions and another tokenizer. */
export const xlmRoberta: Architecture = {
  ...bert,
  classes: ["XLMRobertaModel"],
  defaults: { ...bert.defaults, pad_token_id: 1 },
  hyperparameters: [...bert.hyperparameters, uint32("context_length", contextLength)],
  vocabulary: (config) => {
    checkAdapters(config);
    return {
      tokenizers: ["unigram"],
      vocabularySize: config.integer("vocab_size"),
      tokenTypeCount: config.integer("type_vocab_size"),
    };
  },
  model: bert.model.map((module) => (module.name === positionEmbedding.name ? positionEmbedding : module)),
  renames: [[/^roberta\./, ""], ...(bert.renames ?? [])],
};
