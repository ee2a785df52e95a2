import { ggufUint32 } from "@quern/gguf";
import { QuernError, type TensorInfo } from "@quern/tensor";
import { describe, expect, it } from "vitest";
import { Config } from "./config.ts";
import { describeArchitecture } from "./describe-architecture.ts";
import { fillIn } from "./read-config.ts";
import { architectureOf } from "./registry.ts";
import { xlmRoberta } from "./xlm-roberta.ts";

const TENSORS: ReadonlyMap<string, TensorInfo> = new Map(
  ["word", "position", "token_type"]
    .map((kind): [string, number[]] => [`embeddings.${kind}_embeddings.weight`, [10, 8]])
    .concat(["weight", "bias"].map((part) => [`embeddings.LayerNorm.${part}`, [8]]))
    .concat(blockTensors().map(([name, shape]) => [`encoder.layer.0.${name}`, shape]))
    .map(([name, shape]) => [`roberta.${name}`, { name: `roberta.${name}`, type: "F32", shape }]),
);

function blockTensors(): [string, number[]][] {
  const attention = ["self.query", "self.key", "self.value", "output.dense"].map(
    (name) => `attention.${name}`,
  );
  const layers = [...attention, "intermediate.dense", "output.dense"];
  return [
    ...layers.flatMap((name): [string, number[]][] => [
      [`${name}.weight`, [8, 8]],
      [`${name}.bias`, [8]],
    ]),
    ...["attention.output", "output"].flatMap((name): [string, number[]][] => [
      [`${name}.LayerNorm.weight`, [8]],
      [`${name}.LayerNorm.bias`, [8]],
    ]),
  ];
}

const CONFIG = {
  architectures: ["XLMRobertaModel"],
  hidden_size: 8,
  intermediate_size: 8,
  max_position_embeddings: 10,
  num_attention_heads: 2,
  num_hidden_layers: 1,
  vocab_size: 10,
};

function described(changed: Record<string, unknown>): { context: unknown; positions: unknown } {
  const config = fillIn(new Config({ ...CONFIG, ...changed }), xlmRoberta);
  const { hyperparameters, tensors } = describeArchitecture({
    architecture: xlmRoberta,
    facts: { config, vocabularySize: 10 },
    tensors: TENSORS,
  });
  return {
    context: new Map(hyperparameters).get("bert.context_length"),
    positions: tensors.find(({ role }) => role === "position-embedding")?.shape,
  };
}

function failure(action: () => unknown): QuernError {
  try {
    action();
  } catch (error) {
    if (error instanceof QuernError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("XLM-RoBERTa", () => {
  it.each([
    ["as transformers has it", {}, 8],
    ["after another padding token", { pad_token_id: 4 }, 5],
    ["from the start when there is none", { pad_token_id: null }, 10],
  ])("counts positions %s", (_, changed, count) => {
    expect(described(changed)).toEqual({ context: ggufUint32(count), positions: [count, 8] });
  });

  it("needs positions after the padding token's", () => {
    const error = failure(() => described({ max_position_embeddings: 2 }));
    expect(error).toMatchObject({
      code: "MODEL_CONFIG_VALUE_INVALID",
      subject: { key: "max_position_embeddings" },
    });
  });

  it("needs rows for them", () => {
    const error = failure(() => described({ max_position_embeddings: 100, pad_token_id: 20 }));
    expect(error).toMatchObject({
      code: "MODEL_TENSOR_INVALID",
      subject: { tensor: "roberta.embeddings.position_embeddings.weight" },
    });
  });

  it("is refused with adapters", () => {
    const config = fillIn(new Config({ ...CONFIG, lora_adaptations: ["retrieval.query"] }), xlmRoberta);
    expect(failure(() => xlmRoberta.vocabulary(config))).toMatchObject({
      code: "MODEL_CONFIG_VALUE_INVALID",
      subject: { key: "lora_adaptations" },
    });
  });

  it("is refused with a classifier, by name", () => {
    const config = new Config({ ...CONFIG, architectures: ["XLMRobertaForSequenceClassification"] });
    const error = failure(() => architectureOf(config));
    expect(error.code).toBe("MODEL_UNSUPPORTED");
    expect(error.message).toMatch(/XLMRobertaForSequenceClassification is not supported.*XLMRobertaModel/);
  });
});
