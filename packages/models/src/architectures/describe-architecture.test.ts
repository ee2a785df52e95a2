import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { ggufUint32 } from "@quern/gguf";
import { ELEMENT_TYPES, QuernError, type TensorInfo } from "@quern/tensor";
import { describe, expect, it } from "vitest";
import { decodeElements, encodeFloat16 } from "../expressions/element-codec.ts";
import { evaluateRows } from "../expressions/evaluate.ts";
import type { TensorReader } from "../expressions/expression.ts";
import { rowShape } from "../expressions/row-shape.ts";
import type { ModelTensor } from "../model.ts";
import {
  CONVERTER,
  MADE_UP_VOCABULARY,
  type MadeUpCheckpoint,
  madeUpCheckpoint,
  madeUpFiles,
  madeUpTensors,
  madeUpWeights,
} from "../testing/made-up-checkpoint.ts";
import { FILE_TYPE, type ModelFacts } from "./architecture.ts";
import { type DescribedArchitecture, describeArchitecture } from "./describe-architecture.ts";
import { readPoolingType } from "./pooling-type.ts";
import { fillIn, readConfig } from "./read-config.ts";
import { architectureOf } from "./registry.ts";

type Case = Pick<MadeUpCheckpoint, "config" | "files" | "tensors">;

const NAMES = readdirSync(CONVERTER)
  .filter((name) => name.endsWith(".json"))
  .map((name) => name.slice(0, -".json".length));

async function describeCase(params: Case): Promise<DescribedArchitecture> {
  const files = madeUpFiles(params);
  const { config: given } = await readConfig(files);
  const architecture = architectureOf(given);
  const pooling = architecture.pooling ? await readPoolingType(files) : undefined;
  const facts: ModelFacts = {
    config: fillIn(given, architecture),
    vocabularySize: MADE_UP_VOCABULARY,
    ...(pooling === undefined ? {} : { pooling }),
  };
  return describeArchitecture({ architecture, facts, tensors: madeUpTensors(params) });
}

/** Bytes of the made-up weights of a tensor. */
function weightsOf(info: TensorInfo): Uint8Array {
  const floats = madeUpWeights(info);
  if (info.type === "F32") return new Uint8Array(floats.buffer);
  const halves =
    info.type === "F16"
      ? [...floats].map(encodeFloat16)
      : [...new Uint32Array(floats.buffer)].map((bits) => bits >>> 16);
  return new Uint8Array(Uint16Array.from(halves).buffer);
}

async function hashOf({ expression, sourceType, shape }: ModelTensor, reader: TensorReader): Promise<string> {
  const { rows } = rowShape({ type: sourceType, shape });
  const bytes = await evaluateRows(expression, { reader, firstRow: 0, rows });
  const values = new Float32Array((bytes.byteLength * 8) / ELEMENT_TYPES[sourceType].bits);
  decodeElements({ type: sourceType, bytes, visit: (value, index) => (values[index] = value) });
  return createHash("sha256").update(new Uint8Array(values.buffer)).digest("hex");
}

describe.each(NAMES)("%s", (name) => {
  const given = madeUpCheckpoint(name);

  it("has the hyper-parameters of llama.cpp's converter", async () => {
    const { leading, hyperparameters } = await describeCase(given);
    const pairs = new Map(
      [...leading, ...hyperparameters].map(([key, value]) => [
        key,
        value === FILE_TYPE ? ggufUint32(0) : value,
      ]),
    );
    const actual = [...pairs].map(([key, value]) =>
      value.type === "array"
        ? { key, type: value.type, elements: value.elements, value: [...value] }
        : { key, type: value.type, value: value.value },
    );
    expect(actual).toEqual(given.expected.kv);
  });

  it("has the tensors of llama.cpp's converter, bit by bit", async () => {
    const { tensors } = await describeCase(given);
    const infos = madeUpTensors(given);
    const reader: TensorReader = {
      info: (tensor) => infos.get(tensor)!,
      async readRows(tensor, start, count) {
        const { rowBytes } = rowShape(infos.get(tensor)!);
        return weightsOf(infos.get(tensor)!).subarray(start * rowBytes, (start + count) * rowBytes);
      },
    };
    const actual: MadeUpCheckpoint["expected"]["tensors"] = [];
    for (const tensor of tensors) {
      actual.push({ name: tensor.name, ne: tensor.shape.toReversed(), sha256: await hashOf(tensor, reader) });
    }
    expect(actual).toEqual(given.expected.tensors);
  });
});

describe("checkpoints that do not fit", () => {
  const failure = async (params: Case): Promise<QuernError> => {
    try {
      await describeCase(params);
    } catch (error) {
      if (error instanceof QuernError) return error;
      throw error;
    }
    throw new Error("nothing was thrown");
  };
  const changed = (name: string, change: (given: Case) => void): Case => {
    const given = madeUpCheckpoint(name);
    change(given);
    return given;
  };

  it("lack a tensor of a block", async () => {
    const name = "model.layers.1.self_attn.q_proj.weight";
    const error = await failure(changed("llama-min", ({ tensors }) => delete tensors[name]));
    expect(error).toMatchObject({ code: "MODEL_TENSOR_MISSING", subject: { tensor: name } });
    expect(error.message).toContain(`"${name}"`);
    expect(error.message).toContain('"blk.1.attn_q.weight"');
  });

  it("lack one of many experts", async () => {
    const name = "model.layers.1.block_sparse_moe.experts.10.w3.weight";
    const error = await failure(changed("mixtral-min", ({ tensors }) => delete tensors[name]));
    expect(error).toMatchObject({ code: "MODEL_TENSOR_MISSING", subject: { tensor: name } });
  });

  it("lack a bias that the architecture needs", async () => {
    const name = "model.layers.0.self_attn.k_proj.bias";
    const error = await failure(changed("qwen2-yarn", ({ tensors }) => delete tensors[name]));
    expect(error).toMatchObject({ code: "MODEL_TENSOR_MISSING", subject: { tensor: name } });
  });

  it("lack an output that is not tied", async () => {
    const error = await failure(changed("llama-min", ({ tensors }) => delete tensors["lm_head.weight"]));
    expect(error).toMatchObject({ code: "MODEL_TENSOR_MISSING", subject: { tensor: "lm_head.weight" } });
  });

  it("have tensors that the architecture has no use for", async () => {
    const error = await failure(
      changed("llama-min", ({ tensors }) => {
        for (let index = 0; index < 5; index++) tensors[`model.layers.0.adapter.${index}`] = ["F32", [4]];
      }),
    );
    expect(error).toMatchObject({
      code: "MODEL_TENSOR_UNKNOWN",
      subject: { tensor: "model.layers.0.adapter.0" },
    });
    expect(error.message).toContain('"model.layers.0.adapter.2" and 2 more');
  });

  it("have more blocks than the configuration says", async () => {
    const error = await failure(changed("llama-min", ({ config }) => (config["num_hidden_layers"] = 1)));
    expect(error.code).toBe("MODEL_TENSOR_UNKNOWN");
  });

  it("have a tensor under two names", async () => {
    const error = await failure(
      changed("bert-mlm", ({ tensors }) => {
        tensors["bert.embeddings.LayerNorm.weight"] = ["F32", [32]];
      }),
    );
    expect(error.code).toBe("MODEL_TENSOR_DUPLICATE");
    expect(error.message).toContain("bert.embeddings.LayerNorm.gamma");
  });

  it("have heads that are not whole", async () => {
    const error = await failure(
      changed("llama-bias-invfreq", ({ config }) => (config["num_attention_heads"] = 5)),
    );
    expect(error).toMatchObject({
      code: "MODEL_TENSOR_INVALID",
      subject: { tensor: "model.layers.0.self_attn.q_proj.weight" },
    });
  });

  it.each([
    ["model.layers.0.mlp.down_proj.weight", [32, 40], '"blk.0.ffn_up"'],
    ["model.layers.0.mlp.down_proj.weight", [30, 48], "32 rows"],
    ["model.layers.1.self_attn.v_proj.weight", [32, 16], '"blk.1.attn_norm"'],
    ["model.norm.weight", [16], "hidden units"],
    ["lm_head.weight", [40, 16], '"output_norm"'],
  ] as const)("have %s of the shape %j", async (name, shape, what) => {
    const error = await failure(
      changed("llama-min", ({ tensors }) => (tensors[name] = ["BF16", [...shape]])),
    );
    expect(error.code).toBe("MODEL_TENSOR_INVALID");
    expect(error.message).toContain(what);
  });

  it.each([
    ["hidden_size", undefined, "MODEL_CONFIG_KEY_MISSING"],
    ["max_position_embeddings", null, "MODEL_CONFIG_KEY_MISSING"],
    ["hidden_size", "32", "MODEL_CONFIG_VALUE_INVALID"],
    ["max_position_embeddings", 2 ** 32, "MODEL_CONFIG_VALUE_INVALID"],
    ["max_position_embeddings", -1, "MODEL_CONFIG_VALUE_INVALID"],
    ["intermediate_size", 47.5, "MODEL_CONFIG_VALUE_INVALID"],
    ["num_hidden_layers", 1e9, "MODEL_CONFIG_VALUE_INVALID"],
    ["num_hidden_layers", 0, "MODEL_CONFIG_VALUE_INVALID"],
    ["num_attention_heads", 0, "MODEL_CONFIG_VALUE_INVALID"],
    ["rms_norm_eps", [1e-5], "MODEL_CONFIG_VALUE_INVALID"],
    ["rope_theta", 1e39, "MODEL_CONFIG_VALUE_INVALID"],
    ["head_dim", 4e9, "MODEL_CONFIG_VALUE_INVALID"],
    ["rope_scaling", "yarn", "MODEL_CONFIG_VALUE_INVALID"],
    ["tie_word_embeddings", "no", "MODEL_CONFIG_VALUE_INVALID"],
  ])("have %s %j in config.json", async (key, value, code) => {
    const error = await failure(
      changed("mistral-min", ({ config }) => {
        if (value === undefined) delete config[key];
        else config[key] = value;
      }),
    );
    expect(error).toMatchObject({ code, subject: { file: "config.json", key } });
    expect(error.message).toContain(`config.json`);
    expect(error.message).toContain(key);
  });

  it.each([
    [{ rope_type: "constructor" }, "rope_scaling.rope_type"],
    [{ rope_type: "yarn", factor: "4" }, "rope_scaling.factor"],
    [{ rope_type: "yarn", factor: 4 }, "rope_scaling.original_max_position_embeddings"],
  ])("have the rotary scaling %j", async (scaling, key) => {
    const error = await failure(changed("qwen2-yarn", ({ config }) => (config["rope_scaling"] = scaling)));
    expect(error.subject).toEqual({ file: "config.json", key });
  });

  it.each([
    ["mlp_only_layers", [1]],
    ["decoder_sparse_step", 2],
  ])("have dense blocks among those with experts (%s)", async (key, value) => {
    const error = await failure(changed("qwen3moe-merged", ({ config }) => (config[key] = value)));
    expect(error).toMatchObject({ code: "MODEL_CONFIG_VALUE_INVALID", subject: { key } });
  });

  it("ask for more experts than llama.cpp can have", async () => {
    const error = await failure(
      changed("mixtral-min", ({ config }) => (config["num_local_experts"] = 4_000_000)),
    );
    expect(error).toMatchObject({
      code: "MODEL_CONFIG_VALUE_INVALID",
      subject: { key: "num_local_experts" },
    });
  });

  it("are of an architecture that nobody knows", async () => {
    const error = await failure(
      changed("llama-min", ({ config }) => (config["architectures"] = ["MambaForCausalLM"])),
    );
    expect(error.code).toBe("MODEL_UNSUPPORTED");
    expect(error.message).toContain("MambaForCausalLM");
    expect(error.message).toContain("LlamaForCausalLM");
  });

  it("do not say what they are", async () => {
    const error = await failure(changed("llama-min", ({ config }) => (config["architectures"] = [])));
    expect(error).toMatchObject({ code: "MODEL_CONFIG_KEY_MISSING", subject: { key: "architectures" } });
  });

  it("pool in a way that llama.cpp does not", async () => {
    const error = await failure(
      changed(
        "qwen3-embedding",
        ({ files }) => (files["1_Pooling/config.json"] = { pooling_mode_max_tokens: true }),
      ),
    );
    expect(error.code).toBe("MODEL_UNSUPPORTED");
  });
});

describe("modules", () => {
  it("say what feeds each linear layer", async () => {
    const { modules } = await describeCase(madeUpCheckpoint("llama-min"));
    const block = modules
      .filter(({ layer }) => layer === 1)
      .map(({ role, name, hf, input }) => ({ role, name, hf, input }));
    expect(block).toEqual([
      { role: "norm", name: "blk.1.attn_norm", hf: "model.layers.1.input_layernorm", input: undefined },
      { role: "q", name: "blk.1.attn_q", hf: "model.layers.1.self_attn.q_proj", input: "blk.1.attn_norm" },
      { role: "k", name: "blk.1.attn_k", hf: "model.layers.1.self_attn.k_proj", input: "blk.1.attn_norm" },
      { role: "v", name: "blk.1.attn_v", hf: "model.layers.1.self_attn.v_proj", input: "blk.1.attn_norm" },
      { role: "o", name: "blk.1.attn_output", hf: "model.layers.1.self_attn.o_proj", input: "blk.1.attn_v" },
      {
        role: "norm",
        name: "blk.1.ffn_norm",
        hf: "model.layers.1.post_attention_layernorm",
        input: undefined,
      },
      { role: "gate", name: "blk.1.ffn_gate", hf: "model.layers.1.mlp.gate_proj", input: "blk.1.ffn_norm" },
      { role: "up", name: "blk.1.ffn_up", hf: "model.layers.1.mlp.up_proj", input: "blk.1.ffn_norm" },
      { role: "down", name: "blk.1.ffn_down", hf: "model.layers.1.mlp.down_proj", input: "blk.1.ffn_up" },
    ]);
  });

  it.each(NAMES)(
    "of %s have inputs that exist, and every tensor of the checkpoint belongs to one",
    async (name) => {
      const { modules, tensors } = await describeCase(madeUpCheckpoint(name));
      const names = new Set(modules.map((module) => module.name));
      expect(names.size).toBe(modules.length);
      const inputs = modules.flatMap(({ input }) => input ?? []);
      expect(inputs.filter((input) => !names.has(input))).toEqual([]);
      const owned = modules.flatMap((module) => module.tensors);
      const made = tensors.filter(({ role }) => role !== "rope-factors").map((tensor) => tensor.name);
      expect(owned.toSorted()).toEqual(made.toSorted());
    },
  );
});
