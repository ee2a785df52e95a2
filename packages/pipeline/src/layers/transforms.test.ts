// @module-tag kernels

import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LayerParameters } from "@quern/checkpoints";
import { type Statistics, statisticsInputs } from "@quern/statistics";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LayeredModel } from "./linear-layers.ts";
import type { CheckpointPlan, PlanCheckpointParams, PlannedFolding } from "./plan.ts";
import { planCheckpoint } from "./planning/plan-checkpoint.ts";
import { writeCheckpoint } from "./running/write-checkpoint.ts";
import {
  goldenModel,
  hashesOf,
  openFolder,
  recipeFor,
  type RecipeSettings,
  valuesOf,
} from "./testing/checkpoints.ts";
import { logitsOf } from "./testing/logits.ts";
import { randomStatistics } from "./testing/random-statistics.ts";

const W8: LayerParameters = {
  bits: 8,
  tile: { rows: 1, columns: "all" },
  symmetric: true,
  scaleType: "F32",
  activations: "dynamic",
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "transforms-"));
});
afterAll(() => rm(folder, { recursive: true }));

let outputs = 0;

function planFor(
  model: LayeredModel,
  settings: RecipeSettings,
  more: Partial<PlanCheckpointParams> = {},
): Promise<CheckpointPlan> {
  return planCheckpoint({
    model,
    recipe: recipeFor(model, settings),
    recipeName: "test",
    output: join(folder, `output-${outputs++}`),
    threads: 0,
    tool: "tests 1",
    ...more,
  });
}

describe("blocks whose factors were folded", () => {
  const settings: RecipeSettings = {
    format: "int-quantized",
    parameters: W8,
    transforms: [{ name: "smooth-quant" }],
    statistics: "channels",
  };
  let model: LayeredModel;
  let statistics: Statistics;
  beforeAll(async () => {
    model = await goldenModel("qwen2moe");
    statistics = await randomStatistics({ model, path: join(folder, "qwen2moe.stats") });
  });
  afterAll(() => statistics.close());

  it("are compared with what they were, and take memory for that", async () => {
    const plan = await planFor(model, settings, { statistics });
    const blocks = plan.checks.map(({ graph }) => graph.layer);
    expect(blocks).toEqual([...new Set(plan.foldings.map(({ folding }) => folding.layer))]);
    expect(blocks.length).toBeGreaterThan(1);
    const largest = Math.max(...plan.checks.map(({ bytes }) => bytes));
    expect(plan.resources.leastMemory).toBeGreaterThan(largest);
    expect((await writeCheckpoint(plan)).layers.length).toBeGreaterThan(0);
  });

  it("are not compared where nothing is folded", async () => {
    const plan = await planFor(model, { ...settings, transforms: [] }, { statistics });
    expect(plan.checks).toEqual([]);
  });

  it.each([0, 2])("stop everything when they compute something else, with %i threads", async (threads) => {
    const plan = await planFor(model, settings, { statistics, threads });
    const last = plan.foldings.findLast(
      ({ folding }) => folding.divides === "norm" && folding.layer !== undefined,
    )!;
    const without = (planned: PlannedFolding): PlannedFolding => ({
      ...planned,
      folding: {
        ...planned.folding,
        multiplied: planned.folding.multiplied.filter(
          ({ tensor }) => !tensor.includes("shared_expert.up_proj"),
        ),
      },
    });
    const foldings = plan.foldings.map((planned) => (planned === last ? without(planned) : planned));
    const failed = writeCheckpoint({ ...plan, foldings });
    await expect(failed).rejects.toMatchObject({
      code: "FOLDING_CHANGES_MODEL",
      subject: { key: `blk.${last.folding.layer}` },
      message: expect.stringMatching(/^block \d+ computes something else .* off by [\d.e-]+ of itself/),
    });
    expect(existsSync(plan.folder) || existsSync(`${plan.folder}.partial`)).toBe(false);
  });
});

describe("factors by the loss of parents", () => {
  const settings: RecipeSettings = {
    format: "pack-quantized",
    parameters: { bits: 3, tile: { rows: 1, columns: 16 }, symmetric: true, scaleType: "BF16" },
    transforms: [{ name: "awq", options: { steps: 5, loss: "parent" } }],
    statistics: "hessian",
  };
  const layerLoss = { ...settings, transforms: [{ name: "awq", options: { steps: 5 } }] };
  let model: LayeredModel;
  let statistics: Statistics;
  beforeAll(async () => {
    model = await goldenModel("qwen2moe");
    statistics = await randomStatistics({ model, path: join(folder, "windows.stats"), windows: true });
  });
  afterAll(() => statistics.close());

  it("compare attention and mixtures of experts, and take memory for that", async () => {
    const plan = await planFor(model, settings, { statistics });
    const without = await planFor(model, layerLoss, { statistics });
    const [first] = plan.foldings.flatMap(({ folding }) => folding.layer ?? []);
    const kinds = plan.foldings
      .filter(({ folding }) => folding.layer === first)
      .map(({ parent }) => parent?.parent.kind);
    expect(kinds.slice(0, 3)).toEqual(["attention", undefined, "feed-forward"]);
    expect(new Set(kinds.slice(3))).toEqual(new Set([undefined]));
    const more = plan.foldings.map(({ bytes }, index) => bytes - without.foldings[index]!.bytes);
    const least = plan.foldings.map(({ parent }) => {
      if (parent === undefined) return 0;
      const elements = parent.tensors.flatMap(({ shape }) => shape.reduce((all, size) => all * size, 1));
      return 4 * (elements.reduce((sum, count) => sum + count) + 2 * parent.rows * parent.parent.width);
    });
    expect(more.every((bytes, index) => bytes >= least[index]!)).toBe(true);
    expect(more.map((bytes) => bytes === 0)).toEqual(least.map((bytes) => bytes === 0));
    const rows = plan.foldings.flatMap(({ parent }) => (parent ? [[parent.parent.kind, parent.rows]] : []));
    expect(rows.slice(0, 2)).toEqual([
      ["attention", 40],
      ["feed-forward", 256],
    ]);
    expect(without.foldings.every(({ parent }) => parent === undefined)).toBe(true);
  });

  it("are the same with any threads and memory, and other than those of layers", async () => {
    const few = { ...settings, keep: /layers\.[1-9]/ };
    const plan = await planFor(model, few, { statistics });
    const names = (await writeCheckpoint(plan)).files.map(({ name }) => name);
    const expected = await hashesOf(plan.folder, names);
    for (const more of [{ threads: 2 }, { threads: 1, memory: plan.resources.leastMemory }]) {
      const other = await planFor(model, few, { statistics, ...more });
      await writeCheckpoint(other);
      expect(await hashesOf(other.folder, names)).toEqual(expected);
    }
    const without = await planFor(model, { ...few, transforms: layerLoss.transforms }, { statistics });
    await writeCheckpoint(without);
    expect(await hashesOf(without.folder, names)).not.toEqual(expected);
  });

  it.each([
    ["windows", { holdOut: true }, "quern calibrate --keep-windows 4"],
    ["inputs that were held out", { holdOut: false }, "quern calibrate"],
  ])("are refused by the plan without %s", async (_, params, command) => {
    const path = join(folder, `refused-${outputs}.stats`);
    const lacking = await randomStatistics({ model, path, ...params });
    await expect(planFor(model, settings, { statistics: lacking })).rejects.toMatchObject({
      code: "STATISTICS_NOT_COLLECTED",
      message: expect.stringContaining(command),
    });
    expect((await planFor(model, layerLoss, { statistics: lacking })).foldings.length).toBeGreaterThan(0);
    await lacking.close();
  });
});

describe("stored scales of inputs", () => {
  const settings: RecipeSettings = {
    format: "int-quantized",
    parameters: { ...W8, activations: "static" },
    activations: { calibrator: { name: "percentile", options: { share: 0.9 } } },
    statistics: "channels",
  };

  async function scaleOf(plan: CheckpointPlan): Promise<number> {
    const { checkpoint } = await openFolder((await writeCheckpoint(plan)).folder);
    const bytes = await checkpoint.readTensor("model.layers.0.self_attn.q_proj.input_scale");
    return new DataView(bytes.buffer, bytes.byteOffset).getFloat32(0, true);
  }

  it("are those of a calibrator, which looks at what was held out where factors divide inputs", async () => {
    const model = await goldenModel("llama2-spm");
    const statistics = await randomStatistics({ model, path: join(folder, "llama.stats") });
    const all = { format: settings.format, parameters: settings.parameters, statistics: "channels" } as const;
    const { largestMagnitude } = await statisticsInputs(statistics).read({
      module: "blk.0.attn_q",
      hessian: false,
      cross: false,
      heldOut: false,
    });
    const largest = largestMagnitude.reduce((most, value) => Math.max(most, value), 0);
    expect(await scaleOf(await planFor(model, all, { statistics }))).toBeCloseTo(largest / 127, 5);
    // These statistics have all inputs in the bin from 1 on.
    const fromHistogram = 127 * (await scaleOf(await planFor(model, settings, { statistics })));
    expect(fromHistogram).toBeGreaterThan(1);
    expect(fromHistogram).toBeLessThan(largest + 0.001);
    const smooth = { ...settings, transforms: [{ name: "smooth-quant" }] };
    const whole = { ...smooth, activations: { calibrator: { name: "min-max" } } };
    const [some, most] = [
      await scaleOf(await planFor(model, smooth, { statistics })),
      await scaleOf(await planFor(model, whole, { statistics })),
    ];
    expect(some).toBeLessThan(0.9 * most);
    const without = await randomStatistics({ model, path: join(folder, "without.stats"), holdOut: false });
    await expect(planFor(model, smooth, { statistics: without })).rejects.toMatchObject({
      code: "STATISTICS_NOT_COLLECTED",
      message: expect.stringContaining("held out"),
    });
    await Promise.all([statistics.close(), without.close()]);
  });
});

describe("rotations", () => {
  const HADAMARD = { name: "hadamard", options: { seed: 7 } };
  const W8G: LayerParameters = {
    bits: 8,
    tile: { rows: 1, columns: 16 },
    symmetric: true,
    scaleType: "BF16",
  };
  const settings: RecipeSettings = { format: "pack-quantized", parameters: W8G, transforms: [HADAMARD] };
  const tokens = [3, 1, 4, 1, 5, 9, 2, 6];

  function relativeError(actual: Float32Array, expected: Float32Array): number {
    const size = (values: Float32Array): number =>
      Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0));
    return size(actual.map((value, index) => value - expected[index]!)) / size(expected);
  }

  /** Of half of the tokens: an expert that is chosen by a hair is another one after any rounding. */
  async function medianError(after: LayeredModel, before: LayeredModel): Promise<number> {
    const [actual, expected] = await Promise.all([logitsOf(after, tokens), logitsOf(before, tokens)]);
    const width = expected.length / tokens.length;
    const errors = tokens.map((_, token) =>
      relativeError(
        actual.subarray(token * width, (token + 1) * width),
        expected.subarray(token * width, (token + 1) * width),
      ),
    );
    return errors.sort((a, b) => a - b)[tokens.length / 2]!;
  }

  it.each([
    ["llama2-spm", /layers\.[1-9]|down_proj/],
    ["llama2-spm", /^$/],
    ["qwen3", /o_proj/],
    ["qwen2moe", /layers\.[1-9]/],
  ])("of %s compute the same, with %s left in floating point", async (name, keep) => {
    const model = await goldenModel(name);
    const plan = await planFor(model, { ...settings, keep });
    expect(plan.checks.length).toBe(new Set(model.linears.flatMap(({ block }) => block ?? [])).size);
    const events: number[] = [];
    const { folder: written } = await writeCheckpoint(plan, {
      onEvent: (event) => event.type === "progress" && events.push(event.done),
    });
    expect(events.at(-1)).toBe(plan.parameters);
    const after = await openFolder(written);
    expect(await medianError(after, model)).toBeLessThan(0.03);
    const [before, now] = await Promise.all(
      [model, after].map((one) => valuesOf(one, "model.embed_tokens.weight")),
    );
    expect(relativeError(now!, before!)).toBeGreaterThan(0.5);
    expect(new Set(await valuesOf(after, "model.layers.0.input_layernorm.weight"))).toEqual(new Set([1]));
  });

  it("give a tied output a tensor of its own", async () => {
    const model = await goldenModel("qwen3");
    const plan = await planFor(model, settings);
    expect(model.tensors.has("lm_head.weight")).toBe(false);
    const after = await openFolder((await writeCheckpoint(plan)).folder);
    expect(after.config).toMatchObject({
      tie_word_embeddings: false,
      quantization_config: { ignore: ["lm_head"] },
    });
    const { info } = after.tensors.get("lm_head.weight")!;
    expect(info).toMatchObject({
      type: "BF16",
      shape: model.tensors.get("model.embed_tokens.weight")!.info.shape,
    });
  });

  it("are used where statistics are, whatever threads and memory", async () => {
    const model = await goldenModel("qwen3");
    const statistics = await randomStatistics({ model, path: join(folder, "qwen3.stats") });
    const gptq: RecipeSettings = {
      ...settings,
      parameters: { ...W8G, bits: 3 },
      rounding: { name: "gptq", options: { order: "descending" } },
      guard: true,
      statistics: "hessian",
      keep: /layers\.1/,
    };
    const first = await planFor(model, gptq, { statistics });
    const { layers, files } = await writeCheckpoint(first);
    // A Hessian that were not rotated would be worse than none.
    for (const { module, outputError } of layers) {
      expect(outputError!.rounded, module).toBeLessThan(0.9 * outputError!.nearest!);
    }
    const names = files.map(({ name }) => name);
    const expected = await hashesOf(first.folder, names);
    for (const more of [{ threads: 2 }, { threads: 1, memory: first.resources.leastMemory }]) {
      const plan = await planFor(model, gptq, { statistics, ...more });
      await writeCheckpoint(plan);
      expect(await hashesOf(plan.folder, names)).toEqual(expected);
    }
    await statistics.close();
  });

  it.each<[string, string, Partial<RecipeSettings>, string, string]>([
    [
      "norms that scale what is written",
      "gemma2",
      {},
      "PLAN_ROTATION_IMPOSSIBLE",
      "scales elements of what is written",
    ],
    ["norms that subtract means", "cohere2", {}, "PLAN_ROTATION_IMPOSSIBLE", "subtracts a mean"],
    [
      "inputs with stored scales",
      "llama2-spm",
      { format: "int-quantized", parameters: { ...W8, activations: "static" }, statistics: "channels" },
      "PLAN_ROTATION_IMPOSSIBLE",
      "stored scale",
    ],
    [
      "other transforms",
      "llama2-spm",
      { transforms: [HADAMARD, { name: "awq" }], statistics: "hessian" },
      "PLAN_TRANSFORMS_TOGETHER",
      "hadamard and awq",
    ],
    [
      "nothing to rotate",
      "llama2-spm",
      { transforms: [{ name: "hadamard", options: { r1: false, r2: false } }] },
      "QUANTIZE_OPTION",
      "r1, r2 or both",
    ],
  ])("are refused for %s", async (_, name, change, code, message) => {
    const model = await goldenModel(name);
    const statistics =
      change.statistics &&
      (await randomStatistics({ model, path: join(folder, `refused-${outputs}.stats`) }));
    const failed = planFor(model, { ...settings, ...change }, statistics ? { statistics } : {});
    await expect(failed).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
    await statistics?.close();
  });

  it("of values alone are possible where hidden states cannot be rotated", async () => {
    const model = await goldenModel("gemma2");
    const plan = await planFor(model, {
      ...settings,
      transforms: [{ name: "hadamard", options: { r1: false } }],
    });
    const after = await openFolder((await writeCheckpoint(plan)).folder);
    expect(after.tensors.has("lm_head.weight")).toBe(false);
    expect(await medianError(after, model)).toBeLessThan(0.03);
  });
});
