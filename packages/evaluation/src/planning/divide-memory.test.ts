import { openRunnable, parameterBuffers, parameterGarbage, rowBytes } from "@quern/inference";
import { openModel } from "@quern/checkpoints/node";
import { blockActivations, outputActivations } from "@quern/models";
import { QuernError } from "@quern/tensor";
import { describe, expect, it } from "vitest";
import { checkpointPath } from "../testing/golden-evaluation.ts";
import { divideMemory, stateBytes } from "./divide-memory.ts";

const model = await openRunnable(await openModel(checkpointPath("llama31-bpe")));
const corpus = {
  rule: { context: 64, score: "half" },
  hash: "",
  tokenizer: "",
  domains: ["a"],
  windows: Array.from({ length: 100 }, () => ({ tokens: new Int32Array(64), domain: 0 })),
} as const;
const divide = (budget: number, threads = 1, models = [model]) =>
  divideMemory({ budget, models, corpus, threads });

/** The message of the error. */
function failure(budget: number): string {
  try {
    divide(budget);
  } catch (error) {
    if (error instanceof QuernError && error.code === "EVALUATION_MEMORY") return error.message;
    throw error;
  }
  return "";
}

describe("divideMemory", () => {
  const plenty = divide(2 ** 30);
  const { blocks, output, embedding } = model.graph;
  const activations = 64 * 4 * blockActivations(blocks[0]!);
  const logits = 4 * outputActivations(output, embedding.width);

  it("keeps all hidden states where there is room, of all models", () => {
    expect(plenty).toMatchObject({ states: stateBytes(model, corpus), spilled: 0, rows: 64 });
    expect(plenty.states).toBe(100 * 64 * 128 * 4);
    expect(divide(2 ** 30, 1, [model, model]).states).toBe(2 * plenty.states);
  });

  it("never uses more than the budget, and takes rows before it fails", () => {
    const least = Number(/; (\d+) are the least/.exec(failure(1))![1]);
    const { released } = plenty;
    // What a block needs is room for some logits.
    const rows = Math.floor(activations / logits);
    const scarce = { budget: least, used: least, states: 0, spilled: plenty.states, rows, released };
    expect(divide(least)).toEqual(scarce);
    expect(failure(least - 1)).toContain(`${least} are the least`);
    let before = 1;
    for (let budget = least; budget < plenty.used + 2 ** 20; budget += 50_000) {
      const division = divide(budget);
      expect(division.used).toBeLessThanOrEqual(budget);
      expect(division.states + division.spilled).toBe(plenty.states);
      expect(division.rows).toBeGreaterThanOrEqual(before);
      before = division.rows;
    }
    expect(before).toBe(64);
  });

  it("counts weights, those of a block or of the output layers, and what is released and may be there all the same", () => {
    const rows = rowBytes(model, "token_embd.weight", 1);
    const ofBlocks =
      rows +
      parameterBuffers(
        model,
        blocks.map(({ tensors }) => tensors),
      );
    const ofOutput = parameterBuffers(model, [output.tensors]);
    expect(plenty.used).toBe(
      plenty.states + Math.max(ofBlocks, ofOutput) + Math.max(activations, 64 * logits),
    );
    expect(plenty.released).toBe(Math.min(ofBlocks, ofOutput) + parameterGarbage(model));
  });

  it("gives each thread its part", () => {
    expect(divide(2 ** 30, 8).used).toBe(plenty.used + 7 * Math.max(activations, 64 * logits));
    expect(divide(2 ** 30, 0).used).toBe(plenty.used);
  });
});
