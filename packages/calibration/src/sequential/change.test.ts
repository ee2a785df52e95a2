import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RunnableModel } from "@quern/inference";
import {
  describeFoldings,
  describeSource,
  foldedScales,
  foldTensor,
  type WeightChanges,
} from "@quern/models";
import { openModel } from "@quern/checkpoints/node";
import { type InputStatistics, openStatistics, statisticsInputs } from "@quern/statistics";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { calibrate } from "../running/calibrate.ts";
import { linearWeights } from "../testing/coarse-model.ts";
import { goldenModel, goldenPlan, someWindows } from "../testing/golden-plan.ts";
import { isSame } from "../testing/same-statistics.ts";
import type { SequentialPlan } from "./plan.ts";
import { planSequential, type PlanSequentialParams } from "./plan-sequential.ts";
import { sequentialInputs } from "./sequential-inputs.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "changed-"));
});
afterEach(() => rm(folder, { recursive: true }));

function planFor(model: RunnableModel, params: Partial<PlanSequentialParams> = {}): Promise<SequentialPlan> {
  const windows = someWindows(model.vocabularySize);
  const folds = { hessians: true };
  return planSequential({ model, windows, temporary: join(folder, "run"), threads: 0, folds, ...params });
}

/** Factors from 0.5 to 2 for every place of a block. */
async function changesOf(model: RunnableModel, block: number): Promise<WeightChanges> {
  const description = await describeSource(await openModel(model.location));
  const tensors = new Map([...model.source.tensors].map(([name, info]) => [name, info]));
  const { foldings } = describeFoldings({ description, tensors });
  const own = foldings.filter(({ layer }) => layer === block);
  expect(own.length).toBeGreaterThan(1);
  return foldedScales(
    own.map((folding) => ({
      folding,
      factors: Float32Array.from({ length: folding.columns }, (_, column) => {
        return 2 ** Math.sin(folding.tied?.[column] ?? column);
      }),
    })),
  );
}

/** A model with everything folded in. */
function changed(model: RunnableModel, changes: readonly WeightChanges[]): RunnableModel {
  const fold = changes.reduce<RunnableModel["tensors"]>(
    (tensors, own) => new Map([...tensors].map(([name, tensor]) => [name, foldTensor(tensor, own)])),
    model.tensors,
  );
  return { ...model, tensors: fold };
}

const ALL = { hessian: true, cross: false, heldOut: true };

/** What calibration finds of the inputs of some blocks. */
async function calibrated(model: RunnableModel): Promise<Map<string, InputStatistics>> {
  const output = join(folder, "statistics.safetensors");
  await calibrate(await goldenPlan({ name: "", model, output, force: true }));
  const source = statisticsInputs(await openStatistics(output));
  const all = new Map<string, InputStatistics>();
  for (const { name } of model.inputs.flat()) all.set(name, await source.read({ module: name, ...ALL }));
  await source.close();
  return all;
}

const MODELS = ["llama2-spm", "qwen3moe", "gemma2", "phi3"];

describe("a model that changes block by block before it is quantized", () => {
  it.each(MODELS)("is run as it becomes: %s", async (name) => {
    const model = await goldenModel(name);
    const changes = [await changesOf(model, 0), await changesOf(model, 1)] as const;
    const before = await calibrated(model);
    const folded = changed(model, changes);
    const after = await calibrated(folded);
    for (const mode of ["true-sequential", "block"] as const) {
      const source = sequentialInputs(await planFor(model, { mode }));
      const names = (block: number): string[] => model.inputs[block]!.map((input) => input.name);
      for (const module of names(0)) {
        expect(isSame(await source.read({ module, ...ALL }), before.get(module)!), module).toBe(true);
      }
      await source.change!(changes[0]);
      for (const module of names(0)) {
        expect(isSame(await source.read({ module, ...ALL }), after.get(module)!), module).toBe(true);
      }
      expect(differ(before.get(names(0)[0]!)!, after.get(names(0)[0]!)!)).toBe(true);
      await source.blockDone(0);
      // Only what the first block computes has been rounded otherwise.
      const [first] = names(1);
      const { meanMagnitude } = await source.read({ module: first!, ...ALL });
      for (const [column, mean] of meanMagnitude.entries()) {
        expect(mean / before.get(first!)!.meanMagnitude[column]!).toBeCloseTo(1, 2);
      }
      await source.change!(changes[1]);
      for (const module of names(1)) {
        expect(isSame(await source.read({ module, ...ALL }), after.get(module)!), module).toBe(true);
      }
      await source.close();
    }
  });

  it.each([true, false])("can have its layers replaced then (compared: %s)", async (cross) => {
    const model = await goldenModel("llama2-spm");
    const changes = await changesOf(model, 0);
    const after = await calibrated(changed(model, [changes]));
    const source = sequentialInputs(await planFor(model, { cross }));
    const [q, o] = model.inputs[0]!;
    await source.read({ module: q!.name, ...ALL });
    await source.change!(changes);
    const own = await source.read({ module: q!.name, ...ALL, cross });
    const { cross: products, ...rest } = own;
    expect(isSame(rest, after.get(q!.name)!)).toBe(true);
    // Both models have changed alike.
    expect(products?.every((sum) => sum === 0)).toBe(cross ? true : undefined);
    for (const { tensor, module, values } of await linearWeights(changed(model, [changes]), 0)) {
      if (!q!.modules.includes(module)) continue;
      await source.replace({ tensor, values: values.map((value) => Math.round(value * 16) / 16) });
    }
    const next = await source.read({ module: o!.name, ...ALL, cross });
    expect(differ(next, after.get(o!.name)!)).toBe(true);
    expect(next.cross?.some((sum) => sum !== 0)).toBe(cross ? true : undefined);
    await expect(source.change!(changes)).rejects.toMatchObject({ code: "CALIBRATION_ORDER" });
    await source.close();
  });

  it("may change as a whole before anything is asked", async () => {
    const model = await goldenModel("llama2-spm");
    const changes = [await changesOf(model, 0), await changesOf(model, 1)];
    const after = await calibrated(changed(model, changes));
    const source = sequentialInputs(await planFor(model));
    for (const own of changes) await source.change!(own);
    for (const [module, expected] of after) {
      const { block } = /blk\.(?<block>\d+)/.exec(module)!.groups!;
      if (block === "1") break;
      expect(isSame(await source.read({ module, ...ALL }), expected), module).toBe(true);
    }
    await source.blockDone(0);
    const { name } = model.inputs[1]![0]!;
    expect(isSame(await source.read({ module: name, ...ALL }), after.get(name)!)).toBe(true);
    await source.close();
  });

  it("keeps whole windows of what attention reads until it changes", async () => {
    const model = await goldenModel("llama2-spm");
    const folds = { hessians: false, keepWindows: 2 };
    const source = sequentialInputs(await planFor(model, { folds }));
    expect(source.kept).toEqual({ heldOut: true, windowRows: 26 });
    const request = { hessian: false, cross: false, heldOut: false, windows: true };
    const [q, o] = model.inputs[0]!;
    const { windows } = await source.read({ module: q!.name, ...request });
    const output = join(folder, "windows.safetensors");
    await calibrate(await goldenPlan({ name: "", model, output, keepWindows: 2 }));
    const expected = statisticsInputs(await openStatistics(output));
    expect(windows).toEqual((await expected.read({ module: q!.name, ...request })).windows);
    await expected.close();
    expect(windows!.rows.length).toBe(26 * q!.columns);
    expect(await source.read({ module: o!.name, ...request })).not.toHaveProperty("windows");
    // X^T X is collected where it is asked for.
    const before = await calibrated(model);
    expect(isSame(await source.read({ module: q!.name, ...ALL }), before.get(q!.name)!)).toBe(true);
    await source.close();
    const without = sequentialInputs(
      await planFor(model, { windows: someWindows(model.vocabularySize, { heldOut: false }) }),
    );
    expect(without.kept).toEqual({ heldOut: false, windowRows: 0 });
    await expect(planFor(model, { folds: { hessians: false, keepWindows: 3 } })).rejects.toMatchObject({
      code: "CALIBRATION_KEEP_WINDOWS",
    });
  });
});

describe("the plan of a run whose model changes", () => {
  it("has a run of each block more, together where there is memory for it", async () => {
    const model = await goldenModel("llama2-spm");
    const plain = await planSequential({
      model,
      windows: someWindows(model.vocabularySize),
      temporary: join(folder, "run"),
      threads: 0,
    });
    const plan = await planFor(model);
    expect(plan.work - plain.work).toBe(plan.tokens * plan.stages.length);
    expect(plan.memory.used).toBeGreaterThan(plain.memory.used);
    expect(plan.estimate.operations.linear).toBeGreaterThan(plain.estimate.operations.linear);
    expect(plan.estimate.operations.hessians).toBe(2 * plain.estimate.operations.hessians);
    expect(plan.identity).not.toBe(plain.identity);
    const message = await planFor(model, { memory: 1 }).catch((error: Error) => error.message);
    const least = Number(/(\d+) are the least/.exec(message as string)![1]);
    const narrow = await planFor(model, { memory: least });
    expect(narrow.stages.map(({ before }) => before!.length)).toEqual(
      narrow.stages.map(({ captures }) => captures.length),
    );
    expect(narrow.work).toBeGreaterThan(plan.work);
    const compared = [plan, narrow].map((one) => sequentialInputs(one));
    for (const { name: module } of model.inputs[0]!) {
      const [a, b] = await Promise.all(compared.map((source) => source.read({ module, ...ALL })));
      expect(isSame(a!, b!)).toBe(true);
    }
    await Promise.all(compared.map((source) => source.close()));
  });
});

function differ(a: InputStatistics, b: InputStatistics): boolean {
  return a.meanSquare.some((value, column) => value !== b.meanSquare[column]);
}
