import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RunnableModel } from "@quern/inference";
import { openStatistics, statisticsInputs } from "@quern/statistics";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { calibrate } from "../running/calibrate.ts";
import { coarseModel } from "../testing/coarse-model.ts";
import { goldenModel, goldenPlan, someWindows } from "../testing/golden-plan.ts";
import { readDirectly } from "../testing/read-directly.ts";
import { type AllStatistics, quantizeAlong } from "../testing/quantize-along.ts";
import { isSame } from "../testing/same-statistics.ts";
import type { SequentialPlan } from "./plan.ts";
import { planSequential, type PlanSequentialParams } from "./plan-sequential.ts";
import { sequentialInputs, type SequentialOptions } from "./sequential-inputs.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sequential-"));
});
afterEach(() => rm(folder, { recursive: true }));

function planFor(model: RunnableModel, params: Partial<PlanSequentialParams> = {}): Promise<SequentialPlan> {
  const windows = someWindows(model.vocabularySize);
  return planSequential({ model, windows, temporary: join(folder, "run"), threads: 0, ...params });
}

/** With as little memory as works: one window at a time, hidden states in files. */
function withLeastMemory(plan: SequentialPlan): SequentialPlan {
  return { ...plan, memory: { ...plan.memory, batch: 1, states: 0, referenceStates: 0 } };
}

async function run(
  plan: SequentialPlan,
  target?: RunnableModel,
  options: SequentialOptions = {},
): Promise<AllStatistics> {
  const source = sequentialInputs(plan, options);
  try {
    return await quantizeAlong({ source, plan, ...(target && { target }) });
  } finally {
    await source.close();
  }
}

/** What calibration finds of a model, all of it at once; nothing of the output layer, of which it has no Hessian. */
async function calibrated(model: RunnableModel): Promise<AllStatistics> {
  const output = join(folder, "statistics.safetensors");
  await calibrate(await goldenPlan({ name: "", model, output, force: true }));
  const source = statisticsInputs(await openStatistics(output));
  const all: AllStatistics = new Map();
  for (const { name, matrices } of model.inputs.flat()) {
    for (let matrix = 0; matrix < matrices; matrix++) {
      const request = { module: name, matrix, hessian: true, cross: false, heldOut: true };
      all.set(`${name} ${matrix}`, await source.read(request));
    }
  }
  await source.close();
  return all;
}

const MODELS = ["llama2-spm", "qwen3moe", "deepseek2-lite", "cohere2", "gpt2"];

describe("inputs of a model that is quantized meanwhile", () => {
  it.each(MODELS)("are those of calibration for %s, where nothing is replaced", async (name) => {
    const model = await goldenModel(name);
    const expected = await calibrated(model);
    for (const mode of ["true-sequential", "block"] as const) {
      const found = await run(await planFor(model, { mode }));
      expect([...found.keys()]).toEqual([...expected.keys()]);
      expectEqual(found, expected);
    }
  });

  it.each(MODELS)("are those of %s with what its layers have become", async (name) => {
    const model = await goldenModel(name);
    const coarse = await coarseModel({ model, folder });
    const expected = await calibrated(coarse);
    const found = await run(await planFor(model), coarse);
    expectEqual(found, expected);
    const different = differing(found, await calibrated(model));
    const [first] = model.inputs[0]!;
    expect(different).not.toContain(`${first!.name} 0`);
    expect(different.length).toBeGreaterThan((found.size * 2) / 3);
  });

  it.each(MODELS)("follow the blocks of %s before theirs, if so wanted", async (name) => {
    const model = await goldenModel(name);
    const found = await run(await planFor(model, { mode: "block" }), await coarseModel({ model, folder }));
    const last = model.inputs.length - 1;
    const expected = await calibrated(await coarseModel({ model, folder, blocks: last }));
    const own = [...found].filter(([key]) => key.startsWith(`blk.${last}.`));
    expect(own.length).toBeGreaterThan(2);
    expectEqual(new Map(own), expected);
  });

  it.each(["llama2-spm", "deepseek2-lite"])(
    "are the same for %s with any threads and any memory",
    async (name) => {
      const model = await goldenModel(name);
      const coarse = await coarseModel({ model, folder });
      const params = { cross: true, output: true };
      const expected = await run(await planFor(model, params), coarse);
      for (const threads of [1, 2]) {
        const plan = await planFor(model, { ...params, threads });
        expectEqual(await run(threads === 1 ? withLeastMemory(plan) : plan, coarse), expected);
      }
      expect(await readdir(folder)).toEqual(["coarse-Infinity.safetensors"]);
    },
  );

  it("can be asked for in any order within a block, by several at once", async () => {
    const model = await goldenModel("llama2-spm");
    const source = sequentialInputs(await planFor(model));
    const expected = await calibrated(model);
    const names = model.inputs[0]!.map(({ name }) => name).reverse();
    const request = { hessian: true, cross: false, heldOut: true };
    const read = await Promise.all(names.map((module) => source.read({ module, ...request })));
    for (const [index, found] of read.entries()) expect(found).toEqual(expected.get(`${names[index]} 0`));
    await source.close();
  });

  it("change with a norm before them", async () => {
    const model = await goldenModel("llama2-spm");
    const source = sequentialInputs(await planFor(model));
    const request = { module: "blk.0.attn_k", hessian: true, cross: false, heldOut: true };
    const before = await source.read(request);
    const [width] = model.tensors.get("blk.0.attn_norm.weight")!.shape;
    await source.replace({ tensor: "blk.0.attn_norm.weight", values: new Float32Array(width!) });
    const after = await source.read(request);
    expect(before.hessian!.some((sum) => sum !== 0)).toBe(true);
    expect(after.hessian!.every((sum) => sum === 0)).toBe(true);
    expect(after.tokens).toBe(before.tokens);
    await source.close();
  });

  it("are known of later blocks where nothing is done with those before", async () => {
    const model = await goldenModel("llama2-spm");
    const source = sequentialInputs(await planFor(model));
    const request = { module: "blk.1.ffn_up", hessian: true, cross: false, heldOut: true };
    const expected = await calibrated(model);
    expect(await source.read(request)).toEqual(expected.get("blk.1.ffn_gate 0"));
    await source.close();
  });

  it("have nothing of windows that were not kept apart", async () => {
    const model = await goldenModel("llama2-spm");
    const windows = someWindows(model.vocabularySize, { heldOut: false });
    const source = sequentialInputs(await planFor(model, { windows, hessians: false }));
    const request = { module: "blk.0.attn_q", hessian: false, cross: false, heldOut: true };
    const read = await source.read(request);
    expect(Object.keys(read)).toEqual(["tokens", "mean", "meanSquare", "meanMagnitude", "largestMagnitude"]);
    expect(read.tokens).toBe(77);
    await source.close();
  });

  it("tell how far they are, no further than planned", async () => {
    const model = await goldenModel("qwen3moe");
    const done: number[] = [];
    const places = new Set<string>();
    const plan = await planFor(model, { output: true });
    await run(plan, undefined, {
      onProgress(progress) {
        done.push(progress.done);
        places.add(progress.place);
      },
    });
    expect(done.at(-1)).toBe(plan.work);
    expect(done).toEqual([...done].sort((a, b) => a - b));
    expect([...places]).toEqual(["block 1 of 2", "block 2 of 2", "output layer"]);
  });

  it("end with the reason of the signal", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const source = sequentialInputs(await planFor(await goldenModel("llama2-spm")), { signal });
    controller.abort(new Error("enough"));
    const request = { module: "blk.0.attn_q", hessian: true, cross: false, heldOut: true };
    await expect(source.read(request)).rejects.toThrow("enough");
    await source.close();
  });

  it("end with the hidden states that they follow from", async () => {
    const controller = new AbortController();
    const source = sequentialInputs(await planFor(await goldenModel("llama2-spm"), { saves: true }), {
      signal: controller.signal,
      onProgress: () => controller.abort(new Error("enough")),
    });
    await expect(source.blockDone(0)).rejects.toThrow("enough");
    const request = { module: "blk.0.attn_q", hessian: true, cross: false, heldOut: true };
    await expect(source.read(request)).rejects.toThrow("enough");
    await source.close();
    expect(await readdir(folder)).toEqual([]);
  });
});

describe("products with the inputs of the model as it was", () => {
  it.each(["llama2-spm", "qwen3moe", "deepseek2-lite"])("are those of %s, layer by layer", async (name) => {
    const model = await goldenModel(name);
    const coarse = await coarseModel({ model, folder });
    const plan = await planFor(model, { cross: true, output: true });
    const found = await run(plan, coarse);
    const { windows } = plan;
    const rows = await readDirectly({ model: coarse, windows });
    const references = await readDirectly({ model, windows });
    const compared = [...found].filter(([, { cross }]) => cross !== undefined);
    expect(compared.length).toBeGreaterThan(plan.model.inputs.length * 3);
    for (const [key, { cross }] of compared) {
      expectCross(cross!, rows.get(key)!.fitted, references.get(key)!.fitted);
    }
    const [first] = model.inputs[0]!;
    expect(found.get(`${first!.name} 0`)!.cross!.every((sum) => sum === 0)).toBe(true);
    expect(found.get("output 0")!.cross!.some((sum) => Math.abs(sum) > 0.1)).toBe(true);
    expect(plan.warnings.some(({ code }) => code === "CALIBRATION_ROUTING")).toBe(name !== "llama2-spm");
  });
});

/** Some elements of (X_f - X)^T X. */
function expectCross(cross: Float64Array, x: readonly number[][], reference: readonly number[][]): void {
  const columns = Math.sqrt(cross.length);
  for (let i = 0; i < columns; i += 3) {
    for (let j = 0; j < columns; j += 5) {
      const products = x.map((row, token) => Math.fround(reference[token]![i]! - row[i]!) * row[j]!);
      const bound = products.reduce((sum, product) => sum + Math.abs(product), 0);
      const exact = products.reduce((sum, product) => sum + product, 0);
      expect(Math.abs(cross[i * columns + j]! - exact)).toBeLessThanOrEqual(1e-5 * bound);
    }
  }
}

describe("what is asked for wrongly is refused", () => {
  const request = { hessian: false, cross: false, heldOut: false };

  it("by name, matrix, place and kind", async () => {
    const model = await goldenModel("qwen3moe");
    const source = sequentialInputs(await planFor(model, { hessians: false, cross: true }));
    const read = (changes: object) => source.read({ module: "blk.0.attn_q", ...request, ...changes });
    const unknown = { code: "STATISTICS_UNKNOWN_MODULE" };
    await expect(read({ module: "blk.9.attn_q" })).rejects.toMatchObject(unknown);
    await expect(read({ module: "output" })).rejects.toMatchObject(unknown);
    await expect(read({ matrix: 1 })).rejects.toMatchObject(unknown);
    const absent = { code: "STATISTICS_NOT_COLLECTED" };
    await expect(read({ hessian: true })).rejects.toMatchObject(absent);
    await expect(read({ module: "blk.0.ffn_up_exps", cross: true })).rejects.toMatchObject(absent);
    // It goes on all the same.
    await expect(read({ cross: true })).resolves.toHaveProperty("cross");
    const order = { code: "CALIBRATION_ORDER" };
    await expect(source.blockDone(1)).rejects.toMatchObject(order);
    await expect(read({ module: "blk.1.attn_q" })).rejects.toMatchObject(order);
    await source.blockDone(0);
    await expect(read({})).rejects.toMatchObject(order);
    await source.blockDone(1);
    await expect(source.blockDone(2)).rejects.toMatchObject(order);
    await source.close();
    const without = sequentialInputs(await planFor(model));
    await expect(without.read({ module: "blk.0.attn_q", ...request, cross: true })).rejects.toMatchObject(
      absent,
    );
    await without.close();
  });

  it("for tensors of other blocks, of another size, or that would spoil the comparison", async () => {
    const model = await goldenModel("llama2-spm");
    const [width] = model.tensors.get("blk.0.attn_norm.weight")!.shape;
    const norm = { tensor: "blk.0.attn_norm.weight", values: new Float32Array(width!) };
    for (const cross of [false, true]) {
      const source = sequentialInputs(await planFor(model, { cross }));
      const wrong = [
        { tensor: "token_embd.weight", values: new Float32Array(4) },
        { tensor: "blk.0.attn_q.weight", values: new Float32Array(4) },
        { tensor: "blk.0.attn_q.scale", values: new Float32Array(4) },
        ...(cross ? [norm] : []),
      ];
      for (const params of wrong) {
        await expect(source.replace(params)).rejects.toMatchObject({
          code: "CALIBRATION_TENSOR",
          subject: { tensor: params.tensor },
        });
      }
      if (!cross) await source.replace(norm);
      await source.close();
    }
  });
});

describe("a run that ended early", () => {
  const saves = true;
  const begin = async (plan: SequentialPlan, run: string, finished: number): Promise<number> => {
    const source = sequentialInputs(plan);
    try {
      return await source.begin!({ run, finished });
    } finally {
      await source.close();
    }
  };

  it.each([false, true])("is gone on with behind the last block (compared: %s)", async (cross) => {
    const model = await goldenModel("llama2-spm");
    const coarse = await coarseModel({ model, folder });
    const expected = await run(await planFor(model, { cross }), coarse);

    const plan = await planFor(model, { cross, saves });
    const stopped = sequentialInputs(plan);
    expect(await stopped.begin!({ run: "recipe 1", finished: 0 })).toBe(0);
    await quantizeAlong({ source: stopped, plan, target: coarse, to: 1 });
    await stopped.close();
    expect(await begin(plan, "recipe 2", 1)).toBe(0);
    expect(await begin(await planFor(model, { cross: !cross, saves }), "recipe 1", 1)).toBe(0);
    expect(await begin(await planFor(model, { cross, mode: "block", saves }), "recipe 1", 1)).toBe(0);
    expect(await begin(await planFor(model, { cross }), "recipe 1", 1)).toBe(0);
    // What is saved is before a block that is to be made again.
    expect(await begin(plan, "recipe 1", 0)).toBe(0);

    const source = sequentialInputs(plan);
    expect(await source.begin!({ run: "recipe 1", finished: 2 })).toBe(1);
    const found = await quantizeAlong({ source, plan, target: coarse, from: 1 });
    await source.close();
    expect([...found.keys()]).toEqual([...expected.keys()].filter((key) => key.startsWith("blk.1.")));
    expectEqual(found, expected);
    await source.discard!();
    expect(await readdir(folder)).toEqual(["coarse-Infinity.safetensors"]);
  });

  it("saves nothing unless it has been begun so", async () => {
    const model = await goldenModel("llama2-spm");
    for (const begun of [false, true]) {
      const source = sequentialInputs(await planFor(model, { saves }));
      if (begun) await source.begin!({ run: "recipe", finished: 0 });
      await source.blockDone(0);
      expect(await readdir(folder)).toHaveLength(begun ? 1 : 0);
      await expect(source.begin!({ run: "recipe", finished: 0 })).rejects.toMatchObject({
        code: "CALIBRATION_ORDER",
      });
      await source.close();
      await source.discard!();
      expect(await readdir(folder)).toEqual([]);
    }
  });
});

function expectEqual(found: AllStatistics, expected: AllStatistics): void {
  for (const [key, statistics] of found) {
    expect(Object.keys(statistics), key).toEqual(Object.keys(expected.get(key)!));
    expect(isSame(statistics, expected.get(key)!), key).toBe(true);
  }
}

function differing(found: AllStatistics, others: AllStatistics): string[] {
  return [...found].filter(([key, statistics]) => !isSame(statistics, others.get(key)!)).map(([key]) => key);
}
