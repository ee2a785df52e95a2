import { describe, expect, it } from "vitest";
import { forwardCase, loadCase } from "../../testing/forward-case.ts";
import { referenceKernels } from "../../testing/reference-kernels.ts";
import { loadParameters } from "../load-parameters.ts";
import { planForward } from "../plan/plan-forward.ts";
import { blockActivations, embeddingActivations, outputActivations } from "./activation-size.ts";
import { embedTokens } from "./embed-tokens.ts";
import { evaluateBlock } from "./evaluate-block.ts";
import type { Evaluation } from "./evaluation.ts";
import { outputLogits } from "./output-logits.ts";
import { Workspace } from "./workspace.ts";

/** Of networks, norms and attention of every kind: how much of what is planned is used, where experts do not get all tokens. */
const CASES = [
  ["llama2-spm", 0.9],
  ["bert-mlm", 0.9],
  ["cohere2-min", 0.9],
  ["deepseek2-lite", 0.5],
  ["falcon-7b", 0.9],
  ["gemma3", 0.9],
  ["glm4", 0.9],
  ["gpt-oss", 0.5],
  ["gptneox-sequential", 0.9],
  ["olmo2", 0.9],
  ["phi3-short", 0.9],
  ["qwen2moe", 0.5],
  ["qwen3", 0.9],
] as const;

describe("Workspace", () => {
  it("gives memory again once it was given back, and what a scope has taken at its end", () => {
    const workspace = new Workspace();
    const first = workspace.take(3);
    workspace.scoped(() => {
      expect(workspace.take(100).byteOffset).toBe(64);
    });
    const second = workspace.take(17);
    expect([second.buffer, second.byteOffset, second.length]).toEqual([first.buffer, 64, 17]);
    expect(workspace.peak).toBe(64 + 448);
    workspace.clear();
    expect(workspace.take(1).byteOffset).toBe(0);
  });

  it("has room for arrays of any size", () => {
    const workspace = new Workspace();
    const arrays = [10, 2 ** 24, 2 ** 24 + 1, 5].map((length) => workspace.take(length));
    expect(arrays.map(({ length }) => length)).toEqual([10, 2 ** 24, 2 ** 24 + 1, 5]);
    expect(new Set(arrays.map(({ buffer }) => buffer)).size).toBe(4);
    workspace.clear();
    expect(workspace.take(10).buffer).toBe(arrays[0]!.buffer);
    expect(workspace.take(2 ** 24).buffer).toBe(arrays[1]!.buffer);
  });

  it.each(CASES)("holds as much as was planned for %s, and changes no result", async (name, used) => {
    const given = forwardCase(name);
    const { model, tensors, reader } = await loadCase(given);
    const { embedding, blocks, output } = planForward(model);
    const { tokens } = given;
    const rows = tokens.length;
    const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));

    /** The same without a workspace, in a new one, and in one that is full of what is no number. @param size Numbers for each token. */
    const run = async (
      { tensors: names }: { readonly tensors: readonly string[] },
      size: number,
      compute: (evaluation: Evaluation) => Float32Array,
    ): Promise<Float32Array> => {
      const parameters = await loadParameters({ tensors: byName, reader, names });
      const evaluation = { kernels: referenceKernels, parameters };
      const expected = compute(evaluation);
      const workspace = new Workspace();
      expect(compute({ ...evaluation, workspace })).toEqual(expected);
      const planned = size * rows * 4;
      // Arrays begin at multiples of 64 bytes.
      expect(workspace.peak).toBeLessThanOrEqual(planned + 32 * 64);
      expect(workspace.peak).toBeGreaterThanOrEqual(used * planned);
      workspace.clear();
      workspace.take(Math.ceil(planned / 4) + 4096).fill(Number.NaN);
      workspace.clear();
      expect(compute({ ...evaluation, workspace })).toEqual(expected);
      return expected;
    };

    let hidden = await run(embedding, embeddingActivations(embedding), (evaluation) =>
      embedTokens({ graph: embedding, evaluation, tokens }),
    );
    for (const graph of blocks) {
      const before = hidden;
      hidden = await run(graph, blockActivations(graph), (evaluation) =>
        evaluateBlock({ graph, evaluation, hidden: before, tokens: rows }),
      );
    }
    await run(output, outputActivations(output, embedding.width), (evaluation) =>
      outputLogits({ graph: output, evaluation, hidden, rows }),
    );
  });
});
