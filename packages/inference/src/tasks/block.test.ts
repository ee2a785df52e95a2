import { loadKernels } from "@quern/kernels";
import { evaluateBlock, type LinearInput, Workspace } from "@quern/models";
import { describe, expect, it } from "vitest";
import { openParameters } from "../node/parameter-source.ts";
import { goldenModel } from "../testing/golden-model.ts";
import { runBlock } from "./block.ts";

const workspace = new Workspace();

describe("runBlock", () => {
  it.each(["llama2-spm", "qwen3moe", "deepseek2-lite", "cohere2"])(
    "captures the inputs of the linear layers of %s, and can leave the hidden states",
    async (name) => {
      const model = await goldenModel(name);
      const kernels = await loadKernels();
      const source = openParameters(model);
      const layer = model.graph.blocks.length - 1;
      const graph = model.graph.blocks[layer]!;
      const parameters = await source.load(graph.tensors);
      await source.close();
      const tokens = 9;
      const { width } = model.graph.embedding;
      const hidden = Float32Array.from({ length: tokens * width }, (_, index) => Math.sin(index));
      const before = hidden.slice();

      const seen: LinearInput[] = [];
      const observe = (input: LinearInput): void => void seen.push({ ...input, input: input.input.slice() });
      const after = evaluateBlock({ graph, evaluation: { kernels, parameters, observe }, hidden, tokens });

      const groups = model.inputs[layer]!;
      const capture = groups.map(({ name: module, columns, rowsPerToken }) => ({
        module,
        target: new Float32Array(tokens * rowsPerToken * columns),
      }));
      const task = {
        kind: "block",
        graph,
        parameters,
        window: { tokens: new Int32Array(tokens), starts: [0] },
        index: 0,
        hidden,
      } as const;
      const { captured } = runBlock({ kernels, workspace }, { ...task, capture, keep: true });
      expect(hidden).toEqual(before);
      expect(captured.map(({ module }) => module)).toEqual(groups.map((group) => group.name));
      for (const [index, { module, parts }] of captured.entries()) {
        const own = seen.filter((input) => input.module === module);
        expect(parts).toEqual(own.map(({ matrix = 0, rows }) => ({ matrix, rows })));
        expect([...capture[index]!.target]).toEqual(own.flatMap(({ input }) => [...input]));
      }
      for (const [index, one] of capture.entries()) {
        const target = new Float32Array(one.target.length);
        const alone = runBlock(
          { kernels, workspace },
          {
            ...task,
            capture: [{ module: one.module, target }],
            capturesOnly: true,
          },
        );
        expect(alone.captured).toEqual([captured[index]]);
        expect(target).toEqual(one.target);
        expect(hidden).toEqual(before);
      }
      expect(runBlock({ kernels, workspace }, task)).toEqual({ captured: [] });
      expect(hidden).toEqual(after);
    },
  );

  it("computes no more of a block than what is captured needs", async () => {
    const model = await goldenModel("llama2-spm");
    const { tensors } = model.graph.blocks[0]!;
    const source = openParameters(model);
    const parameters = await source.load(tensors.filter((name) => !name.includes("ffn_")));
    await source.close();
    const hidden = new Float32Array(5 * model.graph.embedding.width).fill(1);
    const task = {
      kind: "block",
      graph: model.graph.blocks[0]!,
      parameters,
      window: { tokens: new Int32Array(5), starts: [0] },
      index: 0,
      hidden,
      capture: [{ module: "blk.0.attn_output", target: new Float32Array(hidden.length) }],
    } as const;
    const kernels = await loadKernels();
    expect(runBlock({ kernels, workspace }, { ...task, capturesOnly: true }).captured).toHaveLength(1);
    expect(() => runBlock({ kernels, workspace }, task)).toThrow(
      expect.objectContaining({ code: "FORWARD_TENSOR_MISSING" }) as Error,
    );
  });
});
