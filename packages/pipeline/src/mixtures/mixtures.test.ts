import {
  type GgufMetadata,
  ggmlType,
  ggufArray,
  ggufScalar,
  ggufString,
  ggufUint16,
  ggufUint32,
  type GgufValue,
} from "@quern/gguf";
import { describe, expect, it } from "vitest";
import {
  findMixture,
  MIXTURES,
  quantizedMetadata,
  quantizedTensorOrder,
  selectQuantizedTypes,
  type SelectionParams,
} from "./index.ts";
import { modelTraits } from "./model-traits.ts";

function llama(pairs: Record<string, GgufValue> = {}): GgufMetadata {
  return new Map([
    ["general.architecture", ggufString("llama")],
    ["llama.block_count", ggufUint32(2)],
    ...Object.entries(pairs).map(([key, value]): [string, GgufValue] => [`llama.${key}`, value]),
  ]);
}

const keys = (metadata: GgufMetadata): string[] => [...metadata.keys()];

function select(params: Partial<SelectionParams> & { type?: string }) {
  const mixture = findMixture(params.type ?? "Q4_K_M");
  if (mixture === undefined) throw new Error(`no mixture ${params.type}`);
  return selectQuantizedTypes({ mixture, metadata: llama(), tensors: [], hasImportance: false, ...params });
}

describe("the registry", () => {
  it("has names and file types once, and types that exist", () => {
    expect(new Set(MIXTURES.map(({ name }) => name)).size).toBe(MIXTURES.length);
    expect(new Set(MIXTURES.map(({ fileType }) => fileType)).size).toBe(MIXTURES.length);
    for (const { type, output = "Q6_K" } of MIXTURES)
      expect([ggmlType(type).name, ggmlType(output).name]).toEqual([type, output]);
  });

  it("finds names in any case, and short ones", () => {
    expect(findMixture("q4_k")?.name).toBe("Q4_K_M");
    expect(findMixture("Q3_K")?.name).toBe("Q3_K_M");
    expect(findMixture("mxfp4_moe")?.fileType).toBe(38);
    expect(findMixture("Q4_K_L")).toBeUndefined();
    expect(findMixture("constructor")).toBeUndefined();
  });
});

describe("traits of a model", () => {
  it("come from its metadata", () => {
    const metadata = llama({
      block_count: ggufUint32(80),
      expert_count: ggufUint32(0),
      "attention.head_count": ggufUint32(64),
      "attention.head_count_kv": ggufArray("uint32", [8, 8, 0]),
    });
    expect(modelTraits(metadata)).toEqual({
      architecture: "llama",
      layers: 80,
      headsPerGroup: 8,
      experts: 0,
      isLarge: true,
    });
    expect(modelTraits(metadata.set("llama.attention.head_count_kv", ggufUint32(64)))).toMatchObject({
      isLarge: false,
      headsPerGroup: 1,
    });
    expect(modelTraits(llama({ "attention.head_count": ggufUint32(8) })).headsPerGroup).toBe(1);
    expect(modelTraits(llama()).headsPerGroup).toBe(0);
  });

  it.each([
    [new Map(), "general.architecture"],
    [new Map([["general.architecture", ggufUint32(1)]]), "general.architecture"],
    [new Map([["general.architecture", ggufString("llama")]]), "llama.block_count"],
    [llama({ block_count: ggufString("2") }), "llama.block_count"],
  ])("have to be there (%#)", (metadata, key) => {
    expect(() => select({ metadata })).toThrow(
      expect.objectContaining({ code: "MIXTURE_METADATA_MISSING", subject: { key } }),
    );
  });
});

describe("selection", () => {
  const value = { name: "blk.0.attn_v.weight", ne: [256, 4], type: "F16" };

  it("gives attention values of 70B models more bits", () => {
    const large = llama({
      block_count: ggufUint32(80),
      "attention.head_count": ggufUint32(64),
      "attention.head_count_kv": ggufUint32(8),
    });
    expect(select({ type: "Q3_K_S", metadata: large, tensors: [value] })).toMatchObject([{ type: "Q5_K" }]);
    expect(select({ type: "Q3_K_S", tensors: [value] })).toMatchObject([{ type: "Q3_K" }]);
  });

  it("drops dimensions of 1 at the end, as ggml writes shapes", () => {
    const tensors = [
      { name: "blk.0.ffn_gate_inp_shexp.weight", ne: [256, 1], type: "F32" },
      { name: "x.weight", ne: [1], type: "F32" },
      { name: "y.weight", ne: [256, 1, 2, 1], type: "F32" },
    ];
    expect(select({ tensors }).map(({ ne, type }) => [ne, type])).toEqual([
      [[256], "F32"],
      [[1], "F32"],
      [[256, 1, 2], "Q4_K"],
    ]);
  });

  it("does not quantize what is quantized, but keeps a type that is wanted", () => {
    const tensor = { name: "blk.0.ffn_up_exps.weight", ne: [64, 4, 2], type: "MXFP4" };
    expect(() => select({ tensors: [tensor] })).toThrow(
      expect.objectContaining({ code: "MIXTURE_REQUANTIZES", subject: { tensor: tensor.name } }),
    );
    expect(select({ type: "MXFP4_MOE", tensors: [tensor] })).toMatchObject([
      { type: "MXFP4", sourceType: "MXFP4" },
    ]);
  });

  it("refuses FFN tensors of experts outside the blocks, patterns that are none, unknown types", () => {
    const metadata = llama({ expert_count: ggufUint32(4) });
    for (const name of ["blk.2.ffn_down_exps.weight", "ffn_up.weight"]) {
      expect(() => select({ metadata, tensors: [{ ...value, name }] })).toThrow(
        expect.objectContaining({ code: "MIXTURE_LAYER_INVALID", subject: { tensor: name } }),
      );
    }
    expect(() => select({ tensorTypes: [{ pattern: "(", type: "Q8_0" }] })).toThrow(
      expect.objectContaining({ code: "MIXTURE_PATTERN_INVALID" }),
    );
    const unknown = expect.objectContaining({ code: "GGML_TYPE_UNKNOWN" });
    expect(() => select({ tensorTypes: [{ pattern: "a", type: "Q9" }] })).toThrow(unknown);
    expect(() => select({ outputTensorType: "q8_0" })).toThrow(unknown);
  });

  it("lets a pattern that names the embeddings per layer go before the type of token embeddings", () => {
    const embeddings = ["token_embd.weight", "per_layer_token_embd.weight"].map((name) => ({
      name,
      ne: [256, 4],
      type: "F32",
    }));
    const options = { tensors: embeddings, tokenEmbeddingType: "Q8_0" };
    expect(select(options).map(({ type }) => type)).toEqual(["Q8_0", "Q8_0"]);
    const tensorTypes = [{ pattern: "per_layer", type: "Q4_0" }];
    expect(select({ ...options, tensorTypes }).map(({ name, type }) => [name, type])).toEqual([
      ["token_embd.weight", "Q8_0"],
      ["per_layer_token_embd.weight", "Q4_0"],
    ]);
  });
});

describe("the order of tensors", () => {
  it("is by block number, then by name", () => {
    const names = ["token_embd.weight", "blk.10.a", "blk.2.b", "blk.2.a", "output.weight", "Z", "blk.x"];
    expect(quantizedTensorOrder(names.map((name) => ({ name }))).map(({ name }) => name)).toEqual([
      "Z",
      "blk.x",
      "output.weight",
      "token_embd.weight",
      "blk.2.a",
      "blk.2.b",
      "blk.10.a",
    ]);
  });
});

describe("metadata of a quantized file", () => {
  const source: GgufMetadata = new Map<string, GgufValue>([
    ["general.file_type", ggufUint32(1)],
    ["split.no", ggufUint16(0)],
    ["general.name", ggufString("a")],
    ["quantize.imatrix.file", ggufString("old")],
  ]);

  it("leaves out the keys of sets, and what is unknown of importance weights", () => {
    const importance = { file: "i", datasets: [], entries: 3, chunks: 0 };
    expect(keys(quantizedMetadata(source, { fileType: 15, importance }))).toEqual([
      "general.name",
      "general.quantization_version",
      "general.file_type",
      "quantize.imatrix.file",
      "quantize.imatrix.entries_count",
    ]);
    expect(keys(source)).toHaveLength(4);
  });

  it("lets pairs of the user go before importance weights", () => {
    const overrides = new Map([["general.file_type", ggufScalar("uint32", 7)]]);
    const result = quantizedMetadata(source, { fileType: 15, overrides });
    expect(result.get("general.file_type")).toEqual(ggufUint32(7));
  });

  it("cuts texts at 127 bytes of whole characters", () => {
    const importance = { file: `${"x".repeat(126)}é`, datasets: ["y".repeat(200)], entries: 1, chunks: 1 };
    const result = quantizedMetadata(source, { fileType: 15, importance });
    expect(result.get("quantize.imatrix.file")).toEqual(ggufString("x".repeat(126)));
    expect(result.get("quantize.imatrix.dataset")).toEqual(ggufString("y".repeat(127)));
  });
});
