import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { foldTensor, joinChanges, type WeightChanges } from "@quern/models";
import {
  type InputSource,
  type InputStatistics,
  type KeptInputs,
  type Statistics,
  statisticsInputs,
} from "@quern/statistics";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { LayeredModel } from "./linear-layers.ts";
import type { CheckpointPlan, PlanCheckpointParams } from "./plan.ts";
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

const SETTINGS: RecipeSettings = {
  format: "pack-quantized",
  parameters: { bits: 4, tile: { rows: 1, columns: 16 }, symmetric: true, scaleType: "BF16" },
  transforms: [{ name: "awq", options: { steps: 4 } }],
  rounding: { name: "gptq" },
  statistics: "hessian",
};

let folder: string;
let model: LayeredModel;
let statistics: Statistics;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "along-"));
  model = await goldenModel("llama2-spm");
  statistics = await randomStatistics({
    model,
    path: join(folder, "statistics.safetensors"),
    tokens: 512,
    windows: true,
  });
});
afterAll(async () => {
  await statistics.close();
  await rm(folder, { recursive: true });
});

let outputs = 0;
let output: string;
beforeEach(() => {
  output = join(folder, `output-${outputs++}`);
});

/** A source that follows: its inputs are those of the statistics, larger with each block and as they become when the model changes. */
class Following implements InputSource {
  readonly follows = true;
  readonly kept: KeptInputs = { heldOut: true, windowRows: 40 };
  readonly log: string[] = [];
  changes: WeightChanges = new Map();
  readonly #source = statisticsInputs(statistics);
  readonly #from: number;

  /** @param from First block that an earlier run has kept something of. */
  constructor(from = 0) {
    this.#from = from;
  }

  identity = async (): Promise<string> => "following";

  async begin({ finished }: { finished: number }): Promise<number> {
    this.log.push(`begin ${finished}`);
    return Math.min(this.#from, finished);
  }

  async read(request: Parameters<InputSource["read"]>[0]): Promise<InputStatistics> {
    this.log.push(`read ${request.module}`);
    return this.#source.read(request);
  }

  async change(changes: WeightChanges): Promise<void> {
    const blocks = new Set([...changes.keys()].map((name) => /layers\.(\d+)/.exec(name)?.[1]));
    this.log.push(`change ${[...blocks].join()}`);
    this.changes = joinChanges(this.changes, changes);
  }

  async replace({ tensor }: { tensor: string }): Promise<void> {
    this.log.push(`replace ${tensor}`);
  }

  async blockDone(block: number): Promise<void> {
    this.log.push(`done ${block}`);
  }

  close = async (): Promise<void> => undefined;
}

function planFor(
  inputs: InputSource,
  more: Partial<PlanCheckpointParams & RecipeSettings> = {},
): Promise<CheckpointPlan> {
  return planCheckpoint({
    model,
    recipe: recipeFor(more.model ?? model, { ...SETTINGS, ...more }),
    recipeName: "test",
    output,
    threads: 0,
    tool: "tests 1",
    inputs,
    ...more,
  });
}

describe("factors that are folded in along with the model", () => {
  it("are chosen when a block begins, and given to the source before anything of it is replaced", async () => {
    const inputs = new Following();
    await writeCheckpoint(await planFor(inputs));
    const places = inputs.log.filter((line) => !line.startsWith("begin"));
    for (const block of [0, 1]) {
      const change = places.indexOf(`change ${block}`);
      const isOf = (line: string): boolean => line.includes(`blk.${block}.`);
      const before = places.slice(0, change).filter(isOf);
      expect(before.length).toBe(4);
      expect(before.every((line) => line.startsWith("read"))).toBe(true);
      const after = places.slice(change + 1, places.indexOf(`done ${block}`));
      expect(after.every(isOf)).toBe(true);
      expect(after.filter((line) => line.startsWith("read")).length).toBe(4);
      expect(after.filter((line) => line.startsWith("replace")).length).toBe(7);
    }
  });

  it("leave the model what it was before it is quantized", async () => {
    const inputs = new Following();
    const plan = await planFor(inputs);
    await writeCheckpoint(plan);
    expect(inputs.changes.size).toBe(2 * (2 + 7));
    const tensors = model.description.tensors.map((tensor) => foldTensor(tensor, inputs.changes));
    const folded = { ...model, description: { ...model.description, tensors } };
    const tokens = [3, 1, 4, 1, 5, 9, 2, 6];
    const [actual, expected] = await Promise.all([logitsOf(folded, tokens), logitsOf(model, tokens)]);
    const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    for (const [index, value] of expected.entries()) {
      expect(Math.abs(actual[index]! - value)).toBeLessThan(1e-4 * largest);
    }
  });

  it("are those of all inputs at once where these do not change: norms are the same", async () => {
    const plan = await planFor(new Following());
    await writeCheckpoint(plan);
    const once = await planCheckpoint({
      model,
      recipe: plan.recipe,
      recipeName: "test",
      output: `${output}-once`,
      threads: 0,
      tool: "tests 1",
      statistics,
    });
    await writeCheckpoint(once);
    const [along, other] = await Promise.all([plan, once].map((one) => openFolder(one.folder)));
    for (const name of model.tensors.keys()) {
      if (!name.includes("norm")) continue;
      expect(await valuesOf(along!, name), name).toEqual(await valuesOf(other!, name));
    }
    const first = "model.layers.0.input_layernorm.weight";
    expect(await valuesOf(along!, first)).not.toEqual(await valuesOf(model, first));
  });

  it("compare what is around layers where the source keeps inputs of it", async () => {
    const transforms = [{ name: "awq", options: { steps: 3, loss: "parent" } }];
    const plan = await planFor(new Following(), { transforms, keep: /layers\.1/ });
    expect(
      plan.foldings.flatMap(({ parent }) => (parent ? [[parent.parent.kind, parent.rows]] : [])),
    ).toEqual([
      ["attention", 40],
      ["feed-forward", 256],
    ]);
    expect((await writeCheckpoint(plan)).layers.length).toBe(7);
    for (const kept of [undefined, { heldOut: true, windowRows: 0 }, { heldOut: false, windowRows: 40 }]) {
      const inputs = Object.assign(new Following(), { kept });
      await expect(planFor(inputs, { transforms, force: true })).rejects.toMatchObject({
        code: "STATISTICS_NOT_COLLECTED",
        message: expect.stringContaining("run along"),
      });
    }
  });

  it.each([{ name: "awq" }, { name: "smooth-quant" }, { name: "hadamard" }])(
    "are refused by the plan where the source cannot run what becomes of the model: %j",
    async (transform) => {
      const inputs = Object.assign(new Following(), { change: undefined });
      await expect(planFor(inputs, { transforms: [transform] })).rejects.toMatchObject({
        code: "PLAN_TRANSFORM_FOLLOWS",
        message: expect.stringContaining("this one cannot"),
      });
    },
  );

  it("are not chosen for a block of which nothing is quantized", async () => {
    const inputs = new Following();
    await writeCheckpoint(await planFor(inputs, { keep: /layers\.0/ }));
    expect(inputs.log.filter((line) => line.startsWith("change"))).toEqual(["change 1"]);
  });
});

describe("rotations along with the model", () => {
  it.each(["llama2-spm", "qwen3"])("are those of the model that the source runs: %s", async (name) => {
    const own = await goldenModel(name);
    const inputs = new Following();
    const transforms = [{ name: "hadamard", options: { seed: 5 } }];
    const path = join(folder, `${name}-${outputs}.safetensors`);
    const known = await randomStatistics({ model: own, path });
    const source = statisticsInputs(known);
    inputs.read = (request) => source.read(request);
    const plan = await planFor(inputs, { model: own, transforms, keep: /layers\.1/ });
    const { layers } = await writeCheckpoint(plan);
    expect(layers.length).toBe(7);
    expect(inputs.log[0]).toMatch(/^change/);
    const tensors = own.description.tensors.map((tensor) => foldTensor(tensor, inputs.changes));
    const norms = tensors.filter(({ name: tensor }) => tensor.endsWith("attn_norm.weight"));
    expect(norms.every(({ expression }) => expression.operation !== "source")).toBe(true);
    await known.close();
  });
});

describe("a run with factors that was stopped", () => {
  const journal = (): Promise<string> => readFile(`${output}.partial.journal`, "utf8");

  async function stopAfter(plan: CheckpointPlan, layers: number): Promise<void> {
    const controller = new AbortController();
    const run = writeCheckpoint(plan, {
      signal: controller.signal,
      onEvent: (event) => {
        if (event.type === "tensor:done" && event.finished >= layers) controller.abort(new Error("enough"));
      },
    });
    await expect(run).rejects.toThrow("enough");
  }

  it.each([
    [1, 0],
    [6, 0],
    [8, 1],
    [13, 0],
  ])("goes on with those that were chosen, after %i layers, from block %i", async (layers, from) => {
    const wholePlan = await planFor(new Following(), { output: `${output}-whole` });
    const whole = await writeCheckpoint(wholePlan);
    const names = whole.files.map(({ name }) => name);
    await stopAfter(await planFor(new Following()), layers);
    const begun = layers < 7 ? 1 : 2;
    expect((await journal()).split('"factors"').length - 1).toBe(begun);
    const inputs = new Following(from);
    const report = await writeCheckpoint(await planFor(inputs, { threads: 2 }));
    expect(await hashesOf(report.folder, names)).toEqual(await hashesOf(whole.folder, names));
    expect(report.layers).toEqual(whole.layers);
    // Blocks that are gone through again change as they did, without their inputs.
    const changed = inputs.log.filter((line) => line.startsWith("change"));
    expect(changed).toEqual(from === 0 ? ["change 0", "change 1"] : ["change 1"]);
    const read = inputs.log.findIndex((line) => line.startsWith("read blk.1"));
    expect(read > inputs.log.indexOf("change 1")).toBe(begun === 2);
    expect((await readdir(folder)).filter((name) => name.startsWith(output.split("/").at(-1)!)).length).toBe(
      2,
    );
  });

  it("chooses them again where what was noted makes no sense", async () => {
    const whole = await writeCheckpoint(await planFor(new Following(), { output: `${output}-whole` }));
    const names = whole.files.map(({ name }) => name);
    await stopAfter(await planFor(new Following()), 8);
    const lines = (await journal()).trimEnd().split("\n");
    const spoiled = lines.map((line) =>
      line.includes('"factors"')
        ? JSON.stringify({ factors: { "blk.0.attn_norm": "AAAA", other: 7 } })
        : line,
    );
    await writeFile(`${output}.partial.journal`, `${spoiled.join("\n")}\n`);
    const inputs = new Following(1);
    const report = await writeCheckpoint(await planFor(inputs));
    expect(inputs.log[0]).toBe("begin 0");
    expect(await hashesOf(report.folder, names)).toEqual(await hashesOf(whole.folder, names));
  });
});
