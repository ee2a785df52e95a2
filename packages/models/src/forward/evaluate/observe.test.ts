import { describe, expect, it } from "vitest";
import { describeModel } from "../../describe-model.ts";
import { forwardCase, loadCase, runCase } from "../../testing/forward-case.ts";
import { goldenCheckpoint } from "../../testing/golden-checkpoint.ts";
import type { LinearInput } from "./evaluation.ts";

/** Modules that are no linear layers: nothing is multiplied with them. */
const NOT_LINEAR = new Set(["embedding", "position-embedding", "norm", "sinks", "router-bias"]);

async function observed(name: string): Promise<LinearInput[]> {
  const given = forwardCase(name);
  const inputs: LinearInput[] = [];
  await runCase({
    loaded: await loadCase(given),
    tokens: given.tokens,
    observe: (input) => inputs.push({ ...input }),
  });
  return inputs;
}

describe("the inputs of linear layers", () => {
  it.each(["llama2-spm", "qwen2moe", "phi3-long", "gpt2", "falcon-7b", "deepseek2-lite", "gpt-oss"])(
    "are reported for every layer of %s, with its columns",
    async (name) => {
      const { checkpoint, tokens } = forwardCase(name);
      const { modules, tensors } = await describeModel((await goldenCheckpoint(checkpoint)).input);
      const shapes = new Map(tensors.map((tensor) => [tensor.name, tensor.shape]));
      const linear = modules.filter(({ role }) => !NOT_LINEAR.has(role)).map((module) => module.name);
      const hasOutput = linear.includes("output");
      const inputs = await observed(name);
      expect([...new Set(inputs.map(({ module }) => module))].sort()).toEqual(
        [...linear, ...(hasOutput ? [] : ["token_embd"])].sort(),
      );
      for (const { module, input, rows, columns } of inputs) {
        expect(columns, module).toBe(shapes.get(`${module}.weight`)!.at(-1));
        expect(input.length, module).toBe(rows * columns);
      }
      for (const { module, rows } of inputs.filter(({ matrix }) => matrix === undefined)) {
        expect(rows, module).toBe(tokens.length);
      }
    },
  );

  it("are the same array for layers that read the same", async () => {
    const inputs = new Map((await observed("cohere2")).map((input) => [input.module, input.input]));
    for (const other of ["attn_k", "attn_v", "ffn_gate", "ffn_up"]) {
      expect(inputs.get(`blk.1.${other}`)).toBe(inputs.get("blk.1.attn_q"));
    }
    expect(inputs.get("blk.1.attn_output")).not.toBe(inputs.get("blk.1.attn_q"));
  });

  it("of experts are the rows of the tokens that are routed to them", async () => {
    const { tokens } = forwardCase("qwen3moe");
    const inputs = await observed("qwen3moe");
    const routerInput = inputs.find(({ module }) => module === "blk.1.ffn_gate_inp")!.input;
    const all = inputs.filter(({ module }) => module === "blk.1.ffn_up_exps");
    expect(all.reduce((total, { rows }) => total + rows, 0)).toBe(tokens.length * 4);
    expect(new Set(all.map(({ matrix }) => matrix)).size).toBe(all.length);
    const rowsOf = (input: Float32Array, columns: number): string[] =>
      Array.from({ length: input.length / columns }, (_, row) =>
        input.subarray(row * columns, (row + 1) * columns).join(),
      );
    const known = new Set(rowsOf(routerInput, 128));
    for (const { input, columns } of all) {
      expect(rowsOf(input, columns).every((row) => known.has(row))).toBe(true);
    }
  });
});
