import type { TensorInfo } from "@quern/tensor";
import { describe, expect, it } from "vitest";
import type { LayerParameters } from "../formats/format.ts";
import { copiedFiles } from "./copied-files.ts";
import { planQuantizedCheckpoint, type QuantizedCheckpointPlan } from "./plan-quantized-checkpoint.ts";

const W4: LayerParameters = {
  bits: 4,
  tile: { rows: 1, columns: 64 },
  symmetric: true,
  scaleType: "F16",
};

const names = [0, 1].flatMap((layer) =>
  ["self_attn.q_proj", "mlp.gate", "mlp.up_proj"].map((name) => `model.layers.${layer}.${name}`),
);
const LINEARS = [...names, "lm_head"];
const TENSORS: TensorInfo[] = [
  { name: "model.embed_tokens.weight", type: "BF16", shape: [96, 64] },
  ...LINEARS.map((name): TensorInfo => ({ name: `${name}.weight`, type: "BF16", shape: [64, 64] })),
  { name: "model.norm.weight", type: "BF16", shape: [64] },
];
const QUANTIZED = names.filter((name) => !name.endsWith("gate"));

function plan(
  change: {
    format?: string;
    parameters?: LayerParameters;
    modules?: readonly string[];
    special?: Readonly<Record<string, LayerParameters>>;
    config?: Record<string, unknown>;
    maxShardSize?: number;
  } = {},
): QuantizedCheckpointPlan {
  const {
    format = "gptq",
    parameters = W4,
    modules = QUANTIZED,
    special = {},
    config = {},
    maxShardSize,
  } = change;
  return planQuantizedCheckpoint({
    config: { hidden_size: 64, dtype: "bfloat16", ...config },
    tensors: TENSORS,
    layers: modules.map((module) => ({ module, format, parameters: special[module] ?? parameters })),
    linears: LINEARS,
    paths: ["config.json", "tokenizer.json", "model.safetensors"],
    quantizer: "quern 1.2.3",
    ...(maxShardSize === undefined ? {} : { maxShardSize }),
  });
}

function config(planned: QuantizedCheckpointPlan, file = "config.json"): Record<string, unknown> {
  return JSON.parse(new TextDecoder().decode(planned.files.get(file))) as Record<string, unknown>;
}

describe("tensors", () => {
  it("puts the parts of a layer in the place of its weight", () => {
    const { origins, shards, copies } = plan();
    expect([...origins.keys()].slice(0, 6)).toEqual([
      "model.embed_tokens.weight",
      "model.layers.0.self_attn.q_proj.qweight",
      "model.layers.0.self_attn.q_proj.qzeros",
      "model.layers.0.self_attn.q_proj.scales",
      "model.layers.0.self_attn.q_proj.g_idx",
      "model.layers.0.mlp.gate.weight",
    ]);
    expect(origins.get("model.layers.1.mlp.up_proj.qzeros")).toEqual({
      module: "model.layers.1.mlp.up_proj",
      suffix: ".qzeros",
    });
    expect(origins.get("model.norm.weight")).toEqual({ copy: "model.norm.weight" });
    expect(shards.shards.map(({ fileName }) => fileName)).toEqual(["model.safetensors"]);
    expect(shards.shards[0]!.layout.tensors.get("model.layers.0.mlp.up_proj.qweight")!.info).toMatchObject({
      type: "I32",
      shape: [8, 64],
    });
    expect(copies).toEqual(["tokenizer.json"]);
  });

  it("keeps the parts of a layer in one file", () => {
    const planned = plan({ maxShardSize: 9000 });
    const fileOf = new Map(
      planned.shards.shards.flatMap(({ fileName, layout }) =>
        [...layout.tensors.keys()].map((name) => [name, fileName] as const),
      ),
    );
    expect(planned.shards.shards.length).toBeGreaterThan(3);
    for (const module of QUANTIZED) {
      const files = [...fileOf].filter(([name]) => name.startsWith(`${module}.`)).map(([, file]) => file);
      expect(files).toHaveLength(4);
      expect(new Set(files).size).toBe(1);
    }
    const index = config(planned, "model.safetensors.index.json");
    expect(index["metadata"]).toEqual({
      total_size: planned.shards.shards.reduce(
        (total, { layout }) => total + [...layout.tensors.values()].reduce((sum, { size }) => sum + size, 0),
        0,
      ),
    });
    expect(index["weight_map"]).toEqual(Object.fromEntries(fileOf));
  });

  it("leaves out a tied output layer", () => {
    const planned = plan({ config: { tie_word_embeddings: true } });
    expect([...planned.origins.keys()].some((name) => name.startsWith("lm_head"))).toBe(false);
    expect(() => plan({ config: { tie_word_embeddings: true }, modules: LINEARS })).toThrow(
      expect.objectContaining({ code: "FORMAT_CANNOT_HOLD" }),
    );
  });
});

describe("config.json", () => {
  it("replaces another quantization", () => {
    const planned = plan({
      config: { quantization: { bits: 2 }, quantization_config: { quant_method: "awq" } },
    });
    expect(config(planned)).toMatchObject({ hidden_size: 64, quantization_config: { quant_method: "gptq" } });
    expect(config(planned)).not.toHaveProperty("quantization");
  });

  it("GPTQ: names what is not quantized and what is quantized otherwise", () => {
    const special = { [QUANTIZED[0]!]: { ...W4, bits: 8 } };
    const planned = plan({ special });
    expect(config(planned)["quantization_config"]).toEqual({
      quant_method: "gptq",
      bits: 4,
      group_size: 64,
      desc_act: false,
      sym: true,
      lm_head: false,
      format: "gptq",
      checkpoint_format: "gptq",
      pack_dtype: "int32",
      dynamic: {
        "+:^model\\.layers\\.0\\.self_attn\\.q_proj$": {
          bits: 8,
          group_size: 64,
          desc_act: false,
          sym: true,
        },
        "-:^model\\.layers\\.0\\.mlp\\.gate$": {},
        "-:^model\\.layers\\.1\\.mlp\\.gate$": {},
      },
      modules_in_block_to_quantize: [["self_attn.q_proj", "mlp.up_proj"]],
      meta: { quantizer: ["quern:1.2.3"] },
    });
    expect(config(planned, "quantize_config.json")).toEqual(config(planned)["quantization_config"]);
    const all = plan({ modules: names });
    expect(config(all)["quantization_config"]).toMatchObject({
      dynamic: null,
      modules_in_block_to_quantize: null,
    });
  });

  it("AWQ: lets loaders see what is not quantized, or names it", () => {
    const awq = { format: "awq", parameters: { ...W4, symmetric: false } };
    expect(config(plan({ ...awq, modules: names }))["quantization_config"]).toEqual({
      quant_method: "awq",
      bits: 4,
      group_size: 64,
      zero_point: true,
      version: "gemm",
      modules_to_not_convert: null,
    });
    expect(config(plan(awq))["quantization_config"]).toMatchObject({
      modules_to_not_convert: ["lm_head", "model.layers.0.mlp.gate", "model.layers.1.mlp.gate"],
    });
    const special = { [QUANTIZED[0]!]: W4 };
    expect(() => plan({ ...awq, special })).toThrow(expect.objectContaining({ code: "FORMAT_CANNOT_HOLD" }));
  });

  it("AWQ: refuses to leave a layer whose name another begins with", () => {
    const linears = ["layers.0.mlp.gate", "layers.0.mlp.gate_proj"];
    expect(() =>
      planQuantizedCheckpoint({
        config: {},
        tensors: linears.map((name) => ({ name: `${name}.weight`, type: "F16", shape: [64, 64] })),
        layers: [{ module: linears[1]!, format: "awq", parameters: W4 }],
        linears,
        paths: [],
        quantizer: "quern 1",
      }),
    ).toThrow(expect.objectContaining({ message: expect.stringContaining("gate_proj") }));
  });

  it("bitsandbytes: names lm_head, and leaves out numbers that would have to be floats", () => {
    const parameters: LayerParameters = { ...W4, scaleType: "F32", doubleQuantized: true };
    expect(config(plan({ format: "bnb-nf4", parameters, modules: names }))["quantization_config"]).toEqual({
      quant_method: "bitsandbytes",
      load_in_4bit: true,
      load_in_8bit: false,
      llm_int8_skip_modules: ["lm_head"],
      bnb_4bit_quant_type: "nf4",
      bnb_4bit_use_double_quant: true,
      bnb_4bit_compute_dtype: "bfloat16",
      bnb_4bit_quant_storage: "uint8",
    });
  });

  it("compressed-tensors: has a group for each kind of layer", () => {
    const special = { [QUANTIZED[1]!]: { ...W4, bits: 8 } };
    const planned = plan({ format: "pack-quantized", special });
    const { config_groups: groups, ...rest } = config(planned)["quantization_config"] as Record<
      string,
      unknown
    >;
    expect(rest).toMatchObject({
      format: "pack-quantized",
      quantization_status: "compressed",
      ignore: ["lm_head", "model.layers.0.mlp.gate", "model.layers.1.mlp.gate"],
    });
    const weights = {
      type: "int",
      symmetric: true,
      strategy: "group",
      group_size: 64,
      block_structure: null,
      dynamic: false,
      actorder: null,
      observer: "minmax",
      observer_kwargs: {},
    };
    const others = { input_activations: null, output_activations: null };
    expect(groups).toEqual({
      group_0: { targets: ["Linear"], weights: { num_bits: 4, ...weights }, ...others },
      group_1: { targets: [QUANTIZED[1]], weights: { num_bits: 8, ...weights }, ...others },
    });
  });

  it("FP8: has both names of the list of what is not quantized", () => {
    const parameters: LayerParameters = {
      bits: 8,
      tile: { rows: 128, columns: 128 },
      symmetric: true,
      scaleType: "F32",
    };
    const kept = ["lm_head", "model.layers.0.mlp.gate", "model.layers.1.mlp.gate"];
    expect(config(plan({ format: "fp8", parameters }))["quantization_config"]).toEqual({
      quant_method: "fp8",
      fmt: "e4m3",
      activation_scheme: "dynamic",
      weight_block_size: [128, 128],
      modules_to_not_convert: kept,
      ignored_layers: kept,
    });
  });

  it("MLX: is there twice, and embeddings may be quantized", () => {
    const parameters: LayerParameters = { ...W4, symmetric: false, scaleType: "BF16" };
    const special = { lm_head: { ...parameters, bits: 6 } };
    const planned = plan({ format: "mlx", parameters, modules: ["model.embed_tokens", ...LINEARS], special });
    const quantization = { group_size: 64, bits: 4, mode: "affine", lm_head: { group_size: 64, bits: 6 } };
    expect(config(planned)).toMatchObject({ quantization, quantization_config: quantization });
    expect(() => plan({ modules: ["model.embed_tokens"] })).toThrow(
      expect.objectContaining({ code: "FORMAT_CANNOT_HOLD" }),
    );
  });
});

it.each([
  [
    "two methods",
    [
      ["model.layers.0.mlp.up_proj", "gptq"],
      ["model.layers.1.mlp.up_proj", "awq"],
    ],
    "FORMAT_CANNOT_HOLD",
  ],
  [
    "two versions",
    [
      ["model.layers.0.mlp.up_proj", "gptq"],
      ["model.layers.1.mlp.up_proj", "gptq-v2"],
    ],
    "FORMAT_CANNOT_HOLD",
  ],
  ["no layers", [], "FORMAT_CANNOT_HOLD"],
  ["a format that is only read", [["model.layers.0.mlp.up_proj", "mxfp4"]], "FORMAT_READ_ONLY"],
  ["a format that there is not", [["model.layers.0.mlp.up_proj", "gguf"]], "FORMAT_UNKNOWN"],
] as const)("refuses %s", (_, layers, code) => {
  const planned = layers.map(([module, format]) => ({ module, format, parameters: W4 }));
  expect(() =>
    planQuantizedCheckpoint({
      config: {},
      tensors: TENSORS,
      layers: planned,
      linears: LINEARS,
      paths: [],
      quantizer: "q 1",
    }),
  ).toThrow(expect.objectContaining({ code }));
});

it("refuses a layer without a weight", () => {
  expect(() =>
    planQuantizedCheckpoint({
      config: {},
      tensors: TENSORS,
      layers: [{ module: "model.layers.7.q", format: "gptq", parameters: W4 }],
      linears: ["model.layers.7.q"],
      paths: [],
      quantizer: "q 1",
    }),
  ).toThrow(
    expect.objectContaining({ code: "TENSOR_MISSING", subject: { tensor: "model.layers.7.q.weight" } }),
  );
});

it("copies what belongs to any form of a model", () => {
  const copied = [
    "tokenizer.json",
    "tokenizer.model",
    "merges.txt",
    "chat_template.jinja",
    "generation_config.json",
    "modeling_x.py",
    "LICENSE",
  ];
  const left = [
    "config.json",
    "model.safetensors.index.json",
    "model-00001-of-00002.safetensors",
    "pytorch_model.bin",
    "README.md",
    ".gitattributes",
    "../tokenizer.json",
  ];
  expect(copiedFiles([...left, ...copied])).toEqual(copied);
});
