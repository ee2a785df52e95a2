import { describe, expect, it } from "vitest";
import { attentionOperations, linearOperations, parameterBuffers, parameterBytes, rowBytes } from "./cost.ts";
import { modelIdentity } from "./model-identity.ts";
import { goldenModel } from "./testing/golden-model.ts";

describe("modelIdentity", () => {
  const tensor = (name: string, ...shape: number[]) => ({ name, shape }) as never;
  const identity = (architecture: string, ...tensors: never[]): Promise<string> =>
    modelIdentity({ architecture, tensors });

  it("depends on architecture, names and shapes, not on their order or on leading ones", async () => {
    const one = await identity("llama", tensor("a", 2, 3), tensor("b", 1, 4));
    expect(one).toMatch(/^[0-9a-f]{64}$/);
    expect(await identity("llama", tensor("b", 4), tensor("a", 2, 3))).toBe(one);
    expect(await identity("qwen2", tensor("a", 2, 3), tensor("b", 4))).not.toBe(one);
    expect(await identity("llama", tensor("a", 3, 2), tensor("b", 4))).not.toBe(one);
    expect(await identity("llama", tensor("c", 2, 3), tensor("b", 4))).not.toBe(one);
  });
});

describe("openRunnable", () => {
  it("knows what a model costs", async () => {
    const model = await goldenModel("qwen3moe");
    const { blocks, output } = linearOperations(model);
    // Of its experts a token sees a part: counted by hand from the shapes.
    const elements = (name: string): number => model.tensors.get(name)!.shape.reduce((a, b) => a * b, 1);
    const plain = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate_inp"];
    const experts = ["ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"];
    const own = (names: readonly string[]): number =>
      names.reduce((sum, name) => sum + 2 * elements(`blk.0.${name}.weight`), 0);
    const { rowsPerToken, matrices } = model.inputs[0]!.find(({ name }) => name.endsWith("ffn_gate_exps"))!;
    expect(matrices).toBeGreaterThan(rowsPerToken);
    expect(blocks[0]).toBe(own(plain) + (own(experts) * rowsPerToken) / matrices);
    expect(output).toBe(2 * model.vocabularySize * model.graph.embedding.width);
  });

  it("knows what attention costs: pairs of tokens that see each other, times what is multiplied for each", async () => {
    const causal = await goldenModel("llama2-spm");
    const [first] = causal.graph.blocks;
    const { attention } = first!;
    if (attention.kind !== "heads") throw new Error("expected heads");
    const { heads, headSize, valueSize } = attention;
    const each = 2 * heads * (headSize + valueSize);
    expect(attentionOperations(causal, 1)).toEqual(causal.graph.blocks.map(() => each));
    expect(attentionOperations(causal, 4)[0]).toBe((1 + 2 + 3 + 4) * each);
    const graph = { ...causal.graph, blocks: [{ ...first!, attention: { ...attention, window: 2 } }] };
    expect(attentionOperations({ ...causal, graph }, 4)).toEqual([(1 + 2 + 2 + 2) * each]);
    const both = {
      ...causal.graph,
      blocks: [{ ...first!, attention: { ...attention, bidirectional: true } }],
    };
    expect(attentionOperations({ ...causal, graph: both }, 4)).toEqual([16 * each]);
  });

  it.each(["llama2-spm", "gpt-oss", "qwen3moe"])("knows the size of parameters of %s", async (name) => {
    const model = await goldenModel(name);
    const { openParameters } = await import("./node/parameter-source.ts");
    const source = openParameters(model);
    for (const { tensors } of model.graph.blocks) {
      const loaded = [...(await source.load(tensors)).values()];
      expect(loaded.every(({ data }) => data.buffer instanceof SharedArrayBuffer)).toBe(true);
      expect(parameterBytes(model, tensors)).toBe(loaded.reduce((sum, { data }) => sum + data.byteLength, 0));
    }
    await source.close();
  });

  it("knows the buffers that they are loaded to", async () => {
    const model = await goldenModel("llama2-spm");
    const sizeOf = (...names: string[]): number => parameterBytes(model, names);
    const [query, output, norm] = ["attn_q", "attn_output", "attn_norm"].map(
      (part) => `blk.0.${part}.weight`,
    );
    // Rows of queries are moved from one buffer to another, which is used again for what has the same size.
    expect(sizeOf(query!)).toBe(sizeOf(output!));
    expect(parameterBuffers(model, [[query!]])).toBe(2 * sizeOf(query!));
    expect(parameterBuffers(model, [[query!, output!]])).toBe(2 * sizeOf(query!));
    expect(parameterBuffers(model, [[output!, query!]])).toBe(3 * sizeOf(query!));
    // Norms are read as they are stored, in 16 bits, and kept in 32.
    const both = [[query!, output!], [norm!], [norm!]];
    expect(parameterBuffers(model, both)).toBe(2 * sizeOf(query!) + 1.5 * sizeOf(norm!));
    expect(rowBytes(model, "token_embd.weight", model.vocabularySize)).toBe(sizeOf("token_embd.weight"));
  });
});
