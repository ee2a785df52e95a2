import { readdirSync } from "node:fs";
import { loadKernels } from "@quern/kernels";
import { decodeElements } from "@quern/tensor";
import { describe, expect, it } from "vitest";
import type { ModelTensor } from "../../model.ts";
import {
  FORWARD,
  forwardCase,
  type LoadedCheckpoint,
  loadCase,
  runCase,
} from "../../testing/forward-case.ts";
import { randomNormal } from "../../testing/random-normal.ts";
import { describeFoldings } from "../describe-foldings.ts";
import { foldedScales } from "../folded-scales.ts";
import { tieFactors } from "../tied-factors.ts";
import { foldTensor, joinChanges, type WeightChanges } from "../weight-changes.ts";
import { describeRotations } from "./describe-rotations.ts";
import type { ModelRotations } from "./model-rotations.ts";
import { rotationChanges, type RotationChanges, untiedOutput } from "./rotation-changes.ts";

const CASES = readdirSync(FORWARD)
  .filter((file) => file.endsWith(".json"))
  .map((file) => file.slice(0, -".json".length));

/** Cases whose hidden states can be rotated. */
const RESIDUAL: ReadonlySet<string> = new Set([
  "deepseek2-lite",
  "deepseek2-lite-groups",
  "deepseek2-plain",
  "granite",
  "granite-min",
  "llama-bias-invfreq",
  "llama2-spm",
  "llama2-spm-linear",
  "llama2-spm-yarn",
  "llama31-bpe",
  "mistral-hf",
  "mixtral",
  "mixtral-min",
  "phi3-long",
  "phi3-short",
  "phi3-su",
  "phi4-mini",
  "qwen2",
  "qwen2-window",
  "qwen2-yarn",
  "qwen2moe",
  "qwen2moe-normalized",
  "qwen3",
  "qwen3-no-headdim",
  "qwen3moe",
  "smollm3",
  "smollm3-layers",
]);

const kernels = await loadKernels();
const TOLERANCE = 1e-4;

async function changesOf(
  { sources, reader }: LoadedCheckpoint,
  rotations: Pick<ModelRotations, "residual" | "heads">,
): Promise<RotationChanges> {
  const { norms = [], tied } = rotations.residual ?? {};
  const gains = new Map<string, Float32Array>();
  for (const { tensor } of [...norms, ...(tied === undefined ? [] : [tied.norm])]) {
    const bytes = await reader.readRows(tensor, 0, 1);
    gains.set(tensor, decodeElements({ type: sources.get(tensor)!.type, bytes }));
  }
  return rotationChanges({ rotations, gains, seed: 3 });
}

function changed(loaded: LoadedCheckpoint, changes: WeightChanges, output?: WeightChanges): LoadedCheckpoint {
  const tensors = loaded.tensors.map((tensor) => foldTensor(tensor, changes));
  if (output === undefined) return { ...loaded, tensors };
  const embedding = loaded.tensors.find(({ role }) => role === "embedding")!;
  const own: ModelTensor = untiedOutput(embedding, output);
  const shapes = new Map([...loaded.model.tensors, [own.name, own.shape]]);
  return { ...loaded, model: { ...loaded.model, tensors: shapes }, tensors: [...tensors, own] };
}

function relativeError(actual: Float32Array, expected: Float32Array): number {
  const size = (values: Float32Array): number =>
    Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0));
  return size(actual.map((value, index) => value - expected[index]!)) / size(expected);
}

describe.each(CASES)("%s", (name) => {
  it("computes the same when it is rotated, wherever it can be", async () => {
    const { tokens, ...given } = forwardCase(name);
    const loaded = await loadCase(given);
    const rotations = describeRotations({ description: loaded.description, tensors: loaded.sources });
    const run = async (model: LoadedCheckpoint): Promise<Float32Array> =>
      (await runCase({ loaded: model, tokens, kernels })).output;
    const expected = await run(loaded);
    expect(rotations.heads.map(({ layer }) => layer)).toEqual(
      Array.from({ length: rotations.heads.length }, (_, layer) => layer),
    );
    expect(rotations.heads.length).toBeGreaterThan(0);
    const heads = await changesOf(loaded, { heads: rotations.heads });
    expect(relativeError(await run(changed(loaded, heads.changes)), expected)).toBeLessThan(TOLERANCE);

    expect(rotations.residual !== undefined).toBe(RESIDUAL.has(name));
    expect(rotations.omitted.length).toBe(RESIDUAL.has(name) ? 0 : 1);
    if (rotations.residual === undefined) return;
    const { changes, output } = await changesOf(loaded, rotations);
    expect(output !== undefined).toBe(!loaded.model.tensors.has("output.weight"));
    expect(relativeError(await run(changed(loaded, changes, output)), expected)).toBeLessThan(TOLERANCE);

    // Factors are folded into what has been rotated.
    const { foldings } = describeFoldings({ description: loaded.description, tensors: loaded.sources });
    const scales = foldedScales(
      foldings.map((folding, index) => ({
        folding,
        factors: tieFactors(
          folding,
          Float32Array.from(randomNormal(folding.columns, index), (value) => Math.exp(value / 2)),
        ),
      })),
    );
    const both = joinChanges(changes, scales);
    expect(relativeError(await run(changed(loaded, both, output)), expected)).toBeLessThan(TOLERANCE);
    const wrong = new Map([...changes].filter(([tensor]) => tensor !== rotations.residual!.parts[0]!.tensor));
    expect(relativeError(await run(changed(loaded, wrong, output)), expected)).toBeGreaterThan(
      10 * TOLERANCE,
    );
  });
});

describe("describeRotations", () => {
  it.each([
    ["gpt2", "several embeddings"],
    ["gptneox", "subtracts a mean"],
    ["cohere2", "subtracts a mean"],
    ["gemma2", "post_attention_norm scales"],
    ["glm4", "post_attention_norm scales"],
    ["olmo2", "post_attention_norm scales"],
    ["bert", "hidden states are its result"],
    ["gpt-oss", "MXFP4"],
    ["gptoss-bf16", "inputs x outputs"],
    ["deepseek3-mtp", "may use hidden states too"],
  ])("says of %s why hidden states cannot be rotated", async (name, reason) => {
    const loaded = await loadCase(forwardCase(name));
    const { omitted } = describeRotations({ description: loaded.description, tensors: loaded.sources });
    expect(omitted.map((one) => one.reason).join("\n")).toContain(reason);
  });

  it("needs the weights of the norms", async () => {
    const loaded = await loadCase(forwardCase("llama2-spm"));
    const rotations = describeRotations({ description: loaded.description, tensors: loaded.sources });
    expect(() => rotationChanges({ rotations, gains: new Map() })).toThrow(
      'weights of the norm "model.layers.0.input_layernorm.weight"',
    );
  });
});
