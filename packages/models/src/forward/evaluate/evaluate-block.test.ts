import { describe, expect, it } from "vitest";
import type { BlockGraph } from "../graph.ts";
import { loadParameters } from "../load-parameters.ts";
import { planForward } from "../plan/plan-forward.ts";
import { forwardCase, loadCase, runCase } from "../../testing/forward-case.ts";
import { referenceKernels } from "../../testing/reference-kernels.ts";
import { evaluateBlock } from "./evaluate-block.ts";

describe("evaluateBlock", () => {
  it.each(["llama2-spm", "gemma2", "cohere2", "gptneox-sequential", "deepseek2-lite", "gpt-oss"])(
    "computes tokens of %s from those before them alone",
    async (name) => {
      const given = forwardCase(name);
      const loaded = await loadCase(given);
      const whole = await runCase({ loaded, tokens: given.tokens });
      const part = await runCase({ loaded, tokens: given.tokens.slice(0, 10) });
      for (const [layer, state] of part.hidden.entries()) {
        expect(state).toEqual(whole.hidden[layer]!.subarray(0, state.length));
      }
    },
  );

  it("lets tokens of an encoder see those after them", async () => {
    const given = forwardCase("bert");
    const loaded = await loadCase(given);
    const whole = await runCase({ loaded, tokens: given.tokens });
    const part = await runCase({ loaded, tokens: given.tokens.slice(0, 10) });
    expect(part.hidden[0]).toEqual(whole.hidden[0]!.subarray(0, part.hidden[0]!.length));
    expect(part.output).not.toEqual(whole.output.subarray(0, part.output.length));
  });

  it.each(["olmo2", "bert", "falcon-7b", "qwen3moe"])(
    "runs a graph of %s that went through JSON, and leaves its input alone",
    async (name) => {
      const given = forwardCase(name);
      const { model, tensors, reader } = await loadCase(given);
      const { blocks, embedding } = planForward(model);
      const graph = blocks[0]!;
      const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
      const parameters = await loadParameters({ tensors: byName, reader, names: graph.tensors });
      const evaluation = { kernels: referenceKernels, parameters };
      const hidden = Float32Array.from({ length: 5 * embedding.width }, (_, index) => Math.sin(index));
      const before = hidden.slice();
      const first = evaluateBlock({ graph, evaluation, hidden, tokens: 5 });
      const sent = JSON.parse(JSON.stringify(graph)) as BlockGraph;
      expect(evaluateBlock({ graph: sent, evaluation, hidden, tokens: 5 })).toEqual(first);
      expect(hidden).toEqual(before);
    },
  );

  it("names a tensor that was not given", async () => {
    const { model } = await loadCase(forwardCase("qwen3"));
    const graph = planForward(model).blocks[1]!;
    const evaluation = { kernels: referenceKernels, parameters: new Map() };
    const evaluate = (): unknown =>
      evaluateBlock({ graph, evaluation, hidden: new Float32Array(256), tokens: 1 });
    expect(evaluate).toThrowError(
      expect.objectContaining({
        code: "FORWARD_TENSOR_MISSING",
        subject: { tensor: "blk.1.attn_norm.weight" },
      }),
    );
  });
});
