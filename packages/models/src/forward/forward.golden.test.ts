import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { describeModel } from "../describe-model.ts";
import { goldenCheckpoint } from "../testing/golden-checkpoint.ts";
import { referenceKernels } from "../testing/reference-kernels.ts";
import { embedTokens } from "./evaluate/embed-tokens.ts";
import { evaluateBlock } from "./evaluate/evaluate-block.ts";
import type { Evaluation } from "./evaluate/evaluation.ts";
import { outputLogits } from "./evaluate/output-logits.ts";
import { forwardModel } from "./forward-model.ts";
import { loadParameters } from "./load-parameters.ts";
import { planForward } from "./plan/plan-forward.ts";

/** fixtures/forward/README.md */
interface Expected {
  checkpoint: string;
  edits: Record<string, unknown>;
  tokens: number[];
  width: number;
  positions: number[];
  columns: number[];
  values: number[][];
  norms: number[];
  hidden_norms: number[];
}

const FORWARD = new URL("../../../../fixtures/forward/", import.meta.url);
const CASES = readdirSync(FORWARD)
  .filter((name) => name.endsWith(".json"))
  .map((name) => name.slice(0, -".json".length));

interface Result {
  /** tokens x width */
  output: Float32Array;
  /** Root of the sum of squares of the hidden states before each block and after the last. */
  hiddenNorms: number[];
}

async function run({ checkpoint, edits, tokens }: Expected): Promise<Result> {
  const { input, reader } = await goldenCheckpoint(checkpoint, edits);
  const description = await describeModel(input);
  const graph = planForward(forwardModel(description));
  const tensors = new Map(description.tensors.map((tensor) => [tensor.name, tensor]));
  const evaluation = async (names: readonly string[]): Promise<Evaluation> => ({
    kernels: referenceKernels,
    parameters: await loadParameters({ tensors, reader, names }),
  });
  const { embedding, blocks, output } = graph;
  let hidden = embedTokens({ graph: embedding, evaluation: await evaluation(embedding.tensors), tokens });
  const hiddenNorms = [normOf(hidden)];
  for (const block of blocks) {
    hidden = evaluateBlock({
      graph: block,
      evaluation: await evaluation(block.tensors),
      hidden,
      tokens: tokens.length,
    });
    hiddenNorms.push(normOf(hidden));
  }
  return {
    output: outputLogits({
      graph: output,
      evaluation: await evaluation(output.tensors),
      hidden,
      rows: tokens.length,
    }),
    hiddenNorms,
  };
}

function normOf(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}

describe.each(CASES)("%s", (name) => {
  const expected = JSON.parse(readFileSync(new URL(`${name}.json`, FORWARD), "utf8")) as Expected;

  it("computes what transformers computes in float32", async () => {
    const { output, hiddenNorms } = await run(expected);
    const { width, tokens, positions, columns, values, norms } = expected;
    // The last hidden state of transformers has gone through the last norm.
    const inner = hiddenNorms.slice(0, -1);
    for (const [layer, norm] of inner.entries()) {
      expect(Math.abs(norm / expected.hidden_norms[layer]! - 1), `before block ${layer}`).toBeLessThan(1e-4);
    }
    expect(output.length).toBe(tokens.length * width);
    const rows = tokens.map((_, position) => output.subarray(position * width, (position + 1) * width));
    for (const [position, row] of rows.entries()) {
      expect(Math.abs(normOf(row) / norms[position]! - 1), `norm at ${position}`).toBeLessThan(1e-4);
    }
    for (const [index, position] of positions.entries()) {
      const scale = norms[position]! / Math.sqrt(width);
      for (const [place, column] of columns.entries()) {
        const error = Math.abs(rows[position]![column]! - values[index]![place]!) / scale;
        expect(error, `position ${position}, element ${column}`).toBeLessThan(1e-4);
      }
    }
  });
});
