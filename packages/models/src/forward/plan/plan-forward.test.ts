import { ggufString, ggufUint32 } from "@quern/gguf";
import { QuernError } from "@quern/tensor";
import { describe, expect, it } from "vitest";
import { describeModel } from "../../describe-model.ts";
import { loadCase } from "../../testing/forward-case.ts";
import { goldenCheckpoint } from "../../testing/golden-checkpoint.ts";
import { embedTokens } from "../evaluate/embed-tokens.ts";
import { referenceKernels } from "../../testing/reference-kernels.ts";
import { type ForwardModel, planForward } from "./plan-forward.ts";

async function modelOf(checkpoint: string): Promise<ForwardModel> {
  return (await loadCase({ set: "golden", checkpoint, edits: {} })).model;
}

function failure(act: () => unknown): QuernError {
  try {
    act();
  } catch (error) {
    if (error instanceof QuernError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("planForward", () => {
  it("names the tensors that each part needs, each of which is of use to some part", async () => {
    const model = await modelOf("llama31-bpe");
    const { embedding, blocks, output } = planForward(model);
    const named = [embedding, ...blocks, output].flatMap(({ tensors }) => tensors);
    expect(new Set(named)).toEqual(new Set(model.tensors.keys()));
    expect(blocks[2]!.tensors).toContain("blk.2.attn_q.weight");
    expect(blocks[2]!.tensors).toContain("rope_freqs.weight");
    expect(output.tensors).toEqual(["output_norm.weight", "token_embd.weight"]);
  });

  it("gives plain data", async () => {
    const graph = planForward(await modelOf("deepseek2-lite"));
    expect(JSON.parse(JSON.stringify(graph))).toEqual(graph);
  });

  it("refuses an architecture that it does not know", async () => {
    const error = failure(() =>
      planForward({ architecture: "mamba", metadata: new Map(), tensors: new Map() }),
    );
    expect(error.code).toBe("FORWARD_UNSUPPORTED");
    expect(error.message).toContain("mamba");
  });

  it("refuses a model with a tensor that it would leave out", async () => {
    const model = await modelOf("llama2-spm");
    const tensors = new Map([...model.tensors, ["blk.1.attn_sub_norm.weight", [256]]]);
    const error = failure(() => planForward({ ...model, tensors }));
    expect(error.code).toBe("FORWARD_UNSUPPORTED");
    expect(error.subject.tensor).toBe("blk.1.attn_sub_norm.weight");
  });

  it("names a tensor that is missing", async () => {
    const model = await modelOf("qwen3");
    const tensors = new Map(model.tensors);
    tensors.delete("blk.1.ffn_down.weight");
    const error = failure(() => planForward({ ...model, tensors }));
    expect(error.code).toBe("FORWARD_TENSOR_MISSING");
    expect(error.subject.tensor).toBe("blk.1.ffn_down.weight");
  });

  it("names a tensor of the wrong shape", async () => {
    const model = await modelOf("qwen3");
    const tensors = new Map([...model.tensors, ["blk.0.attn_k.weight", [32, 256]]]);
    const error = failure(() => planForward({ ...model, tensors }));
    expect(error.code).toBe("FORWARD_TENSOR_INVALID");
    expect(error.message).toContain("[32, 256]");
    expect(error.message).toContain("[64, 256]");
  });

  it.each([
    ["qwen3.attention.head_count", undefined],
    ["qwen3.attention.head_count", ggufString("four")],
    ["qwen3.attention.head_count_kv", ggufUint32(3)],
    ["qwen3.rope.dimension_count", ggufUint32(66)],
  ])("names the key %s when it is missing or of no use", async (key, value) => {
    const model = await modelOf("qwen3");
    const metadata = new Map(model.metadata);
    if (value === undefined) metadata.delete(key);
    else metadata.set(key, value);
    const error = failure(() => planForward({ ...model, metadata }));
    expect(error.code).toBe("FORWARD_METADATA");
    expect(key.endsWith(error.subject.key!)).toBe(true);
  });

  it.each([
    ["qwen3.rope.scaling.type", "resonance"],
    ["qwen3.feed_forward.activation", "mish"],
  ])("refuses %s %s", async (key, value) => {
    const model = await modelOf("qwen3");
    const metadata = new Map([...model.metadata, [key, ggufString(value)]]);
    const error = failure(() => planForward({ ...model, metadata }));
    expect(error.code).toBe("FORWARD_UNSUPPORTED");
    expect(error.message).toContain(value);
  });

  it.each([
    ["falcon-7b", "alibi", true],
    ["gpt2", "scale_attn_by_inverse_layer_idx", true],
    ["qwen2moe", "use_sliding_window", true],
    ["bert", "position_embedding_type", "relative_key"],
    ["gemma3", "layer_types", ["chunked_attention"]],
  ])("refuses a checkpoint of %s with %s", async (checkpoint, key, value) => {
    const { input } = await goldenCheckpoint(checkpoint, { [key]: value });
    const description = await describeModel(input);
    const error = failure(() => description.computation());
    expect(error.code).toBe("MODEL_CONFIG_VALUE_INVALID");
    expect(error.subject.key).toBe(key);
  });

  it("refuses ids beyond the vocabulary and sequences beyond the positions", async () => {
    const { embedding: graph } = planForward(await modelOf("gpt2"));
    const evaluation = { kernels: referenceKernels, parameters: new Map() };
    const wrong = failure(() => embedTokens({ graph, evaluation, tokens: [3, 957] }));
    expect(wrong.code).toBe("FORWARD_TOKENS");
    expect(wrong.subject.offset).toBe(1);
    const long = failure(() => embedTokens({ graph, evaluation, tokens: new Int32Array(129) }));
    expect(long.code).toBe("FORWARD_TOKENS");
    expect(long.message).toContain("128");
  });
});
