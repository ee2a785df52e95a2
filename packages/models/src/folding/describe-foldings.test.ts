import { describe, expect, it } from "vitest";
import { ARCHITECTURES } from "../architectures/registry.ts";
import { forwardCase, type LoadedCheckpoint, loadCase } from "../testing/forward-case.ts";
import { describeFoldings } from "./describe-foldings.ts";
import type { Foldings } from "./folding.ts";

const QKV = "attn_q attn_k attn_v";
const NETWORK = "ffn_gate ffn_up";
const EXPERTS = "ffn_gate_exps ffn_up_exps";
const ATTENTION = [`attn_norm -> ${QKV}`, "attn_v = attn_output"];
const DENSE = [`ffn_norm -> ${NETWORK}`, "ffn_up -> ffn_down"];
const FUSED = ["ffn_norm -> ffn_up", "ffn_up -> ffn_down"];
const OUTPUT = "output_norm -> output";
const LATENT = ["attn_norm -> attn_kv_a_mqa attn_q", "attn_v_b -> attn_output", ...DENSE];
const SHARED = "ffn_gate_inp ffn_gate_shexp ffn_up_shexp";
const UP_SHARED = ["ffn_up_shexp -> ffn_down_shexp", "ffn_up_exps.* -> ffn_down_exps"];

/** What each architecture has, "=" where factors are tied. Those of all blocks together, each once. */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  bert: ["attn_v -> attn_output"],
  "xlm-roberta": ["attn_v -> attn_output"],
  cohere2: [`attn_norm -> ${QKV} ${NETWORK}`, "attn_v = attn_output", "ffn_up -> ffn_down"],
  "deepseek2-lite": [...LATENT, `ffn_norm -> ${SHARED} ${EXPERTS}`, ...UP_SHARED, OUTPUT],
  "deepseek3-mtp": [
    "attn_norm -> attn_kv_a_mqa attn_q_a",
    "attn_q_a_norm -> attn_q_b",
    ...LATENT.slice(1),
    `ffn_norm -> ${SHARED} ${EXPERTS}`,
    ...UP_SHARED,
  ],
  "falcon-7b": ["attn_norm -> attn_qkv ffn_up", "attn_qkv = attn_output"],
  falcon40b: ["attn_norm_2 -> attn_qkv", "attn_qkv = attn_output", "attn_norm -> ffn_up", OUTPUT],
  gemma2: [...ATTENTION, ...DENSE],
  gemma3: [...ATTENTION, ...DENSE],
  glm4: [...ATTENTION, ...FUSED, OUTPUT],
  "gpt-oss": [...ATTENTION, OUTPUT],
  "gptoss-bf16": [...ATTENTION, `post_attention_norm -> ffn_gate_inp ${EXPERTS}`, OUTPUT],
  gpt2: ["attn_norm -> attn_qkv", "attn_qkv -> attn_output", "ffn_norm -> ffn_up"],
  gptneox: ["attn_norm -> attn_qkv", "attn_qkv -> attn_output", "ffn_norm -> ffn_up", OUTPUT],
  granite: [...ATTENTION, ...DENSE],
  "llama2-spm": [...ATTENTION, ...DENSE, OUTPUT],
  "llama31-bpe": [...ATTENTION, ...DENSE],
  "mistral-hf": [...ATTENTION, ...DENSE, OUTPUT],
  mixtral: [...ATTENTION, `ffn_norm -> ffn_gate_inp ${EXPERTS}`, "ffn_up_exps.* -> ffn_down_exps", OUTPUT],
  olmo2: ["attn_v = attn_output", "ffn_up -> ffn_down", OUTPUT],
  olmo3: ["attn_v = attn_output", "ffn_up -> ffn_down", OUTPUT],
  "phi3-long": ["attn_norm -> attn_qkv", "attn_qkv = attn_output", ...FUSED, OUTPUT],
  qwen2: [...ATTENTION, ...DENSE],
  qwen2moe: [...ATTENTION, `ffn_norm -> ${SHARED} ffn_gate_inp_shexp ${EXPERTS}`, ...UP_SHARED, OUTPUT],
  qwen3: [...ATTENTION, ...DENSE],
  qwen3moe: [...ATTENTION, `ffn_norm -> ffn_gate_inp ${EXPERTS}`, "ffn_up_exps.* -> ffn_down_exps", OUTPUT],
  smollm3: [...ATTENTION, ...DENSE],
  stablelm: [`attn_norm -> ${QKV} ${NETWORK}`, "attn_v = attn_output", "ffn_up -> ffn_down", OUTPUT],
  "stablelm-seq": [...ATTENTION, ...DENSE, OUTPUT],
  starcoder2: [...ATTENTION, "ffn_norm -> ffn_up"],
};

const inBlock = (name: string): string => name.replace(/^blk\.\d+\./, "");

async function described(name: string): Promise<Foldings & { readonly loaded: LoadedCheckpoint }> {
  const loaded = await loadCase(forwardCase(name));
  return {
    loaded,
    ...describeFoldings({ description: loaded.description, tensors: loaded.sources }),
  };
}

describe("describeFoldings", () => {
  it.each(Object.entries(EXPECTED))("finds the places of %s", async (name, expected) => {
    const { foldings } = await described(name);
    const found = foldings.map((folding) => {
      const readers = folding.readers.map(({ module }) => inBlock(module)).join(" ");
      const place = inBlock(folding.name).replace(/\.\d+$/, ".*");
      return `${place} ${folding.tied === undefined ? "->" : "="} ${readers}`;
    });
    expect([...new Set(found)]).toEqual(expected);
  });

  it("covers every architecture", async () => {
    const names = await Promise.all(
      Object.keys(EXPECTED).map(async (name) => (await described(name)).loaded.description.architecture),
    );
    expect(new Set(names)).toEqual(new Set(ARCHITECTURES.map(({ name }) => name)));
  });

  it.each([
    ["olmo2", "attn_q", "residual stream"],
    ["bert", "attn_q", "residual stream"],
    ["gpt2", "ffn_up", "gelu-tanh stands between"],
    ["gpt-oss", "post_attention_norm", "MXFP4"],
    ["gptoss-bf16", "ffn_up_exps", "swiglu-oai stands between"],
    ["deepseek2-lite", "attn_kv_a_norm", "head by head"],
    ["qwen2", "output_norm", "the output is the embedding"],
    ["deepseek3-mtp", "output_norm", "may read it too"],
  ])("says of %s why nothing is folded into %s", async (name, place, reason) => {
    const { omitted } = await described(name);
    const found = omitted.filter((one) => inBlock(one.name) === place).map((one) => one.reason);
    expect(found.length).toBeGreaterThan(0);
    for (const text of found) expect(text).toContain(reason);
  });

  it("names layers by block and statistics by the layer that has them", async () => {
    const { foldings } = await described("mixtral");
    const places = foldings.filter(({ layer }) => layer === 1);
    expect(places.map(({ name, statistics }) => [name, statistics])).toEqual([
      ["blk.1.attn_norm", { module: "blk.1.attn_q" }],
      ["blk.1.attn_v", { module: "blk.1.attn_output" }],
      ["blk.1.ffn_norm", { module: "blk.1.ffn_gate_inp" }],
      ...Array.from({ length: places.length - 3 }, (_, matrix) => [
        `blk.1.ffn_up_exps.${matrix}`,
        { module: "blk.1.ffn_down_exps", matrix },
      ]),
    ]);
  });

  it("ties columns of heads that share their values", async () => {
    const { foldings } = await described("llama2-spm");
    const { columns, tied, multiplied, divided } = foldings.find(({ name }) => name === "blk.0.attn_v")!;
    const [values] = divided;
    const width = values!.shape[0]!;
    expect(columns).toBe(multiplied[0]!.shape[1]);
    expect(new Set(tied).size).toBe(width);
    const headSize = 64;
    const shared = columns / width;
    for (let column = 0; column < columns; column++) {
      const head = Math.floor(column / headSize / shared);
      expect(tied![column]).toBe(head * headSize + (column % headSize));
    }
  });

  it("folds nothing where record and computation differ", async () => {
    const loaded = await loadCase(forwardCase("llama2-spm"));
    const modules = loaded.description.modules.map((module) =>
      module.name === "blk.0.ffn_gate" ? { ...module, input: "blk.0.attn_norm" } : module,
    );
    const { foldings, omitted } = describeFoldings({
      description: { ...loaded.description, modules },
      tensors: loaded.sources,
    });
    expect(omitted.map(({ name }) => name)).toEqual(["blk.0.attn_norm", "blk.0.ffn_norm"]);
    expect(omitted[1]!.reason).toContain("feeds blk.0.ffn_up, the computation");
    expect(foldings.some(({ name }) => name === "blk.0.ffn_norm")).toBe(false);
  });

  it("folds nothing into tensors that have another use", async () => {
    const loaded = await loadCase(forwardCase("llama2-spm"));
    const shared = loaded.tensors.find(({ name }) => name === "blk.0.ffn_up.weight")!;
    const tensors = loaded.tensors.map((tensor) =>
      tensor.name === "blk.1.ffn_up.weight" ? { ...tensor, expression: shared.expression } : tensor,
    );
    const { omitted } = describeFoldings({
      description: { ...loaded.description, tensors },
      tensors: loaded.sources,
    });
    expect(omitted.map(({ name }) => name)).toEqual([
      "blk.0.ffn_norm",
      "blk.0.ffn_up",
      "blk.1.ffn_norm",
      "blk.1.ffn_up",
      // The tensor that nothing is made from any more may read anything.
      "output_norm",
    ]);
    expect(omitted[0]!.reason).toContain('used in "blk.1.ffn_up.weight" too');
  });

  it("says why where a model cannot be run, or is a GGUF file", async () => {
    const loaded = await loadCase(forwardCase("llama2-spm"));
    const description = { ...loaded.description, architecture: "mamba" };
    const notRun = describeFoldings({ description, tensors: loaded.sources });
    expect(notRun.foldings).toEqual([]);
    expect(notRun.omitted[0]!.reason).toContain("cannot be computed");
    const gguf = describeFoldings({
      description: { ...loaded.description, modules: [] },
      tensors: loaded.sources,
    });
    expect(gguf.foldings).toEqual([]);
    expect(gguf.omitted[0]!.reason).toContain("GGUF");
  });
});
