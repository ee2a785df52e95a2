// @module-tag kernels

import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openGgufModel, ShardReader } from "@quern/checkpoints/node";
import { type Kernels, loadKernels } from "@quern/kernels";
import { evaluateRows } from "@quern/models";
import { outputErrorOn } from "@quern/quantize";
import { type InputSource, readImportance, type Statistics, statisticsInputs } from "@quern/statistics";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { convert } from "./conversion/convert.ts";
import type { TensorError } from "./errors.ts";
import type { LayeredModel } from "./layers/linear-layers.ts";
import { goldenModel } from "./layers/testing/checkpoints.ts";
import { randomStatistics, type RandomStatisticsParams } from "./layers/testing/random-statistics.ts";
import type { ModelSource, PlanParams, RoundingRequest } from "./plan.ts";
import { planConversion } from "./planning/plan-conversion.ts";

let folder: string;
let kernels: Kernels;
const opened: Statistics[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "rounding-"));
  kernels = await loadKernels();
});
afterAll(async () => {
  for (const statistics of opened) await statistics.close();
  await rm(folder, { recursive: true });
});

let files = 0;
const newPath = (ending: string): string => join(folder, `${files++}.${ending}`);

interface Fixture {
  readonly model: LayeredModel;
  readonly statistics: Statistics;
  readonly path: string;
}

function refused(code: string): unknown {
  return expect.objectContaining({ code });
}

async function fixture(name: string, params: Partial<RandomStatisticsParams> = {}): Promise<Fixture> {
  const model = await goldenModel(name);
  const path = newPath("safetensors");
  const statistics = await randomStatistics({ model, path, tokens: 640, ...params });
  opened.push(statistics);
  return { model, statistics, path };
}

interface Settings extends Partial<Omit<PlanParams, "outputs" | "rounding">> {
  readonly type?: string;
  /** False: as llama-quantize does. */
  readonly rounding?: false | Partial<RoundingRequest>;
}

function planFor({ model, statistics, path }: Fixture, settings: Settings = {}) {
  const { type = "Q4_K_M", rounding = {}, ...more } = settings;
  const request = rounding !== false && {
    method: { name: "gptq", options: { order: "descending", passes: 1 } },
    ...(rounding.inputs === undefined && { statistics }),
    ...rounding,
  };
  return readImportance(path, { name: "statistics.safetensors" }).then((importance) =>
    planConversion({
      checkpoint: model.checkpoint,
      importance,
      outputs: type.split(",").map((one) => ({ type: one, path: newPath("gguf") })),
      threads: 0,
      ...(request && { rounding: request }),
      ...more,
    }),
  );
}

interface Converted {
  readonly paths: readonly string[];
  /** Of the first output. */
  readonly errors: readonly TensorError[];
}

async function convertFixture(of: Fixture, settings: Settings = {}): Promise<Converted> {
  const plan = await planFor(of, settings);
  const { outputs } = await convert(plan);
  return { paths: outputs.map((output) => output.files[0]!.path), errors: outputs[0]!.errors ?? [] };
}

/** The bytes of all tensors of a file, by name. */
async function bytesOf(path: string): Promise<ReadonlyMap<string, Buffer>> {
  const model = await openGgufModel(path);
  const bytes = await readFile(path);
  return new Map(
    [...model.tensors].map(([name, { offset, size }]) => [name, bytes.subarray(offset, offset + size)]),
  );
}

async function hashOf(path: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
}

/** The weights of a tensor, as the converter has them. */
async function weightsOf({ model }: Fixture, name: string): Promise<Float32Array> {
  const { expression, sourceType: type, shape } = model.description.tensors.find((one) => one.name === name)!;
  const shards = new ShardReader(model.checkpoint.shards);
  const reader = shards.reading({
    tensors: [...model.checkpoint.tensors.values()],
    buffer: (size) => new Uint8Array(size),
  });
  const [columns, rows] = [shape.at(-1)!, shape.slice(0, -1).reduce((a, b) => a * b, 1)];
  const source = await evaluateRows(expression, { reader, firstRow: 0, rows });
  await shards.close();
  const target = new Float32Array(rows * columns);
  kernels.dequantize({ type, source, target, rows, columns });
  return target;
}

/** Relative squared error of the outputs of a layer on inputs held out, from the bytes in a file. */
async function outputErrorOf(of: Fixture, name: string, path: string): Promise<number> {
  const { ggmlType: type, ne } = (await openGgufModel(path)).tensors.get(name)!;
  const [columns, rows] = ne as [number, number];
  const meant = new Float32Array(rows * columns);
  kernels.dequantize({ type, source: (await bytesOf(path)).get(name)!, target: meant, rows, columns });
  const { rows: inputs } = await of.statistics.readHoldOut(name.replace(/\.weight$/, ""));
  const matrix = { rows, columns, values: await weightsOf(of, name) };
  return outputErrorOn({ matrix, values: meant, inputs, math: kernels.math }).relative;
}

describe("GGUF rounded by inputs", () => {
  let llama: Fixture;
  let plain: Converted;
  let rounded: Converted;
  beforeAll(async () => {
    llama = await fixture("llama2-spm");
    plain = await convertFixture(llama, { rounding: false });
    rounded = await convertFixture(llama);
  });

  it("has blocks that mean what the guard measured", async () => {
    expect(rounded.errors.length).toBeGreaterThan(10);
    for (const { name, rounding } of rounded.errors) {
      const { kept, outputError } = rounding!;
      expect(kept).toBe(1);
      expect(outputError!.kept).toBe(outputError!.rounded);
      const [own, plainly] = [
        await outputErrorOf(llama, name, rounded.paths[0]!),
        await outputErrorOf(llama, name, plain.paths[0]!),
      ];
      expect(own / outputError!.rounded).toBeCloseTo(1, 4);
      expect(plainly / outputError!.plain).toBeCloseTo(1, 4);
      expect(own).toBeLessThan(0.8 * plainly);
    }
  });

  it("has every other tensor as without it", async () => {
    const [own, others] = [await bytesOf(rounded.paths[0]!), await bytesOf(plain.paths[0]!)];
    expect([...own.keys()]).toEqual([...others.keys()]);
    const changed = new Set(rounded.errors.map(({ name }) => name));
    for (const [name, bytes] of own) expect(bytes.equals(others.get(name)!)).toBe(!changed.has(name));
    expect([...changed].every((name) => name.startsWith("blk."))).toBe(true);
    expect(own.size - changed.size).toBeGreaterThan(2);
  });

  it("says so in the metadata, beside what llama-quantize says of importance", async () => {
    const { metadata } = await openGgufModel(rounded.paths[0]!);
    const { metadata: others } = await openGgufModel(plain.paths[0]!);
    expect(metadata.get("quern.rounding")).toEqual({ type: "string", value: "gptq" });
    expect(metadata.has("quantize.imatrix.entries_count")).toBe(true);
    expect([...metadata].filter(([key]) => key !== "quern.rounding")).toEqual([...others]);
  });

  it.each([
    ["one thread", { threads: 1 }],
    ["two threads", { threads: 2 }],
  ] as const)("is the same with %s", async (_what, resources) => {
    const { paths, errors } = await convertFixture(llama, resources);
    expect(await hashOf(paths[0]!)).toBe(await hashOf(rounded.paths[0]!));
    expect(errors.map((error) => ({ ...error }))).toEqual(rounded.errors);
  });

  it("is the same in as little memory as works", async () => {
    const { rounding } = await planFor(llama);
    const memory = rounding!.resources.leastMemory;
    const { resources } = (await planFor(llama, { memory })).rounding!;
    // A row at a time.
    expect(resources).toMatchObject({ threads: 0, chunkWeights: 0 });
    const { paths } = await convertFixture(llama, { memory });
    expect(await hashOf(paths[0]!)).toBe(await hashOf(rounded.paths[0]!));
  });

  it("is made of a GGUF file as of the checkpoint", async () => {
    const path = newPath("gguf");
    const { model } = llama;
    const whole = await planConversion({
      checkpoint: model.checkpoint,
      outputs: [{ type: "auto", path }],
      threads: 0,
    });
    await convert(whole);
    const checkpoint: ModelSource = await openGgufModel(path);
    const { paths } = await convertFixture(llama, { checkpoint });
    expect(await bytesOf(paths[0]!)).toEqual(await bytesOf(rounded.paths[0]!));
  });

  it("measures all outputs of rounded tensors in a report", async () => {
    const { errors } = await convertFixture(llama, { measureErrors: true });
    const plainly = await convertFixture(llama, { rounding: false, measureErrors: true });
    const others = new Map(plainly.errors.map(({ name, hessian }) => [name, hessian]));
    const changed = errors.filter(({ rounding }) => rounding !== undefined);
    expect(changed.length).toBe(rounded.errors.length);
    expect(errors.length).toBeGreaterThan(changed.length);
    for (const { name, hessian } of changed) {
      expect(hessian!.squaredErrors).toBeLessThan(0.8 * others.get(name)!.squaredErrors);
      expect(hessian!.squaredWeights / others.get(name)!.squaredWeights).toBeCloseTo(1, 4);
    }
  });

  it("can have factors folded in first", async () => {
    const { paths, errors } = await convertFixture(llama, { rounding: { transforms: [{ name: "awq" }] } });
    const { metadata, tensors } = await openGgufModel(paths[0]!);
    expect(metadata.get("quern.rounding")).toEqual({ type: "string", value: "awq+gptq" });
    const [own, before] = [await bytesOf(paths[0]!), await bytesOf(plain.paths[0]!)];
    const floats = (bytes: Buffer): Float32Array => new Float32Array(Uint8Array.from(bytes).buffer);
    const norms = [own, before].map((file) => floats(file.get("blk.0.attn_norm.weight")!));
    expect(norms[0]).not.toEqual(norms[1]);
    // What the norm is divided by, the columns behind it are multiplied by; rows of values are divided for the layer behind them.
    for (const name of ["blk.0.attn_q.weight", "blk.0.attn_k.weight"]) {
      const { ggmlType: type, ne } = tensors.get(name)!;
      const [columns, rows] = ne as [number, number];
      const meant = new Float32Array(rows * columns);
      kernels.dequantize({ type, source: own.get(name)!, target: meant, rows, columns });
      const times = (values: Float32Array, factors: Float32Array, power: number): Float32Array =>
        values.map((value, index) => value * factors[index % columns]! ** power);
      const { rows: read } = await llama.statistics.readHoldOut(name.replace(/\.weight$/, ""));
      const { relative } = outputErrorOn({
        matrix: { rows, columns, values: times(await weightsOf(llama, name), norms[1]!, 1) },
        values: times(meant, norms[0]!, 1),
        inputs: times(read, norms[1]!, -1),
        math: kernels.math,
      });
      const { rounding } = errors.find((error) => error.name === name)!;
      expect(relative / rounding!.outputError!.kept).toBeCloseTo(1, 2);
    }
    for (const { rounding } of errors)
      expect(rounding!.outputError!.kept).toBeLessThan(rounding!.outputError!.plain);
    const again = await convertFixture(llama, { threads: 2, rounding: { transforms: [{ name: "awq" }] } });
    expect(await hashOf(again.paths[0]!)).toBe(await hashOf(paths[0]!));
  });

  it("is written in several types at once", async () => {
    const { paths } = await convertFixture(llama, { type: "Q4_K_M,IQ4_XS,F16" });
    expect(await bytesOf(paths[0]!)).toEqual(await bytesOf(rounded.paths[0]!));
    const alone = await convertFixture(llama, { type: "IQ4_XS" });
    expect(await hashOf(paths[1]!)).toBe(await hashOf(alone.paths[0]!));
  });

  it("is rounded by coordinate descent, too", async () => {
    const { errors } = await convertFixture(llama, {
      type: "Q4_0",
      rounding: { method: { name: "coordinate-descent" } },
    });
    for (const { rounding } of errors) {
      expect(rounding!.name).toBe("coordinate-descent");
      expect(rounding!.outputError!.rounded).toBeLessThan(rounding!.outputError!.plain);
    }
  });

  it("is not compared where nothing was held out", async () => {
    const untested = await fixture("llama2-spm", { holdOut: false });
    const plan = await planFor(untested);
    expect(plan.warnings.map(({ code }) => code)).toContain("STATISTICS_NO_HOLD_OUT");
    const { outputs } = await convert(plan);
    for (const { rounding } of outputs[0]!.errors!) {
      expect(rounding).toMatchObject({ kept: 1, matrices: 1, withoutInputs: 0 });
      expect(rounding).not.toHaveProperty("outputError");
    }
  });

  it("tells its source of inputs what tensors have become", async () => {
    const replaced = new Map<string, Float32Array>();
    const inputs: InputSource = {
      ...statisticsInputs(llama.statistics),
      follows: true,
      replace: async ({ tensor, values }) => void replaced.set(tensor, values.slice()),
    };
    const { paths, errors } = await convertFixture(llama, { rounding: { inputs } });
    expect([...replaced.keys()].sort()).toEqual(errors.map(({ name }) => name).sort());
    const { tensors } = await openGgufModel(paths[0]!);
    for (const [name, bytes] of await bytesOf(paths[0]!)) {
      const values = replaced.get(name);
      if (values === undefined) continue;
      const { ggmlType: type, ne } = tensors.get(name)!;
      const target = new Float32Array(values.length);
      kernels.dequantize({ type, source: bytes, target, rows: ne[1]!, columns: ne[0]! });
      expect(target).toEqual(values);
    }
    await expect(planFor(llama, { type: "Q4_0,Q8_0", rounding: { inputs } })).rejects.toThrow(
      expect.objectContaining({ code: "ROUNDING_OUTPUTS" }),
    );
  });

  it("keeps what is complete when it is stopped, and goes on with it", async () => {
    const plan = await planFor(llama, { threads: 2 });
    const stop = new AbortController();
    const running = convert(plan, {
      signal: stop.signal,
      onEvent(event) {
        if (event.type === "tensor:done" && event.errors?.[0]?.rounding) stop.abort(new Error("enough"));
      },
    });
    await expect(running).rejects.toThrow("enough");
    const { path } = plan.outputs[0]!.files[0]!;
    const names = (await readdir(folder)).map((name) => join(folder, name));
    expect(names.filter((name) => name.startsWith(path)).sort()).toEqual([
      `${path}.partial`,
      `${path}.partial.journal`,
    ]);
    await convert(plan);
    const whole = await planFor(llama, { threads: 0 });
    await convert(whole);
    const [made, expected] = await Promise.all(
      [path, whole.outputs[0]!.files[0]!.path].map((file) => readFile(file)),
    );
    expect(made!.equals(expected!)).toBe(true);
  });

  it("counts its progress up to the end", async () => {
    const plan = await planFor(llama, { type: "Q4_K_M,Q2_K" });
    const seen: number[] = [];
    const done = new Set<string>();
    await convert(plan, {
      onEvent(event) {
        if (event.type === "progress") seen.push(event.done / event.total);
        if (event.type === "tensor:done") done.add(event.name);
      },
    });
    expect(seen.at(-1)).toBe(1);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(done.size).toBe(plan.tensors.length);
  });
});

describe("stacks of experts", () => {
  it("are rounded by the inputs of each", async () => {
    const experts = await fixture("qwen3moe");
    const { errors } = await convertFixture(experts, { type: "Q4_0" });
    const stacked = errors.filter(({ name }) => name.includes("_exps"));
    expect(stacked.length).toBeGreaterThan(2);
    for (const { rounding } of stacked) {
      expect(rounding!.matrices).toBeGreaterThan(1);
      expect(rounding!.kept).toBe(rounding!.matrices);
      expect(rounding!.outputError!.kept).toBeLessThan(rounding!.outputError!.plain);
    }
  });

  it("are rounded by importance where too few inputs were seen", async () => {
    const experts = await fixture("qwen3moe", { tokens: 24 });
    const plan = await planFor(experts, { type: "Q4_0" });
    expect(plan.warnings.map(({ code }) => code)).toEqual(
      expect.arrayContaining(["ROUNDING_FEW_TOKENS", "STATISTICS_FEW_TOKENS"]),
    );
    const { outputs } = await convert(plan);
    const plain = await convertFixture(experts, { type: "Q4_0", rounding: false });
    const [own, others] = [await bytesOf(outputs[0]!.files[0]!.path), await bytesOf(plain.paths[0]!)];
    for (const { name, rounding } of outputs[0]!.errors!) {
      if (!name.includes("_exps")) continue;
      expect(rounding).toMatchObject({ kept: 0, withoutInputs: rounding!.matrices });
      expect(own.get(name)!.equals(others.get(name)!)).toBe(true);
    }
  });
});

describe("a plan refuses", () => {
  let llama: Fixture;
  beforeAll(async () => {
    llama = await fixture("llama2-spm");
  });
  it("types without blocks that roundings know", async () => {
    await expect(planFor(llama, { type: "F16" })).rejects.toThrow(refused("ROUNDING_NOWHERE"));
  });

  it("files that are to equal those of the converter", async () => {
    const importance = await readImportance(llama.path);
    const { checkpoint } = llama.model;
    const outputs = [{ type: "Q8_0", flavour: "converter", path: newPath("gguf") }] as const;
    const rounding = { method: { name: "gptq" }, statistics: llama.statistics };
    await expect(planConversion({ checkpoint, importance, outputs, rounding })).rejects.toThrow(
      refused("RECIPE_FLAVOUR"),
    );
  });

  it("statistics of another model", async () => {
    const { statistics } = await fixture("qwen3");
    await expect(planFor(llama, { rounding: { statistics } })).rejects.toThrow(
      refused("STATISTICS_OTHER_MODEL"),
    );
  });

  it("statistics without Hessians", async () => {
    const poor = await fixture("llama2-spm", { hessians: false });
    await expect(planFor(poor)).rejects.toThrow(refused("STATISTICS_NOT_COLLECTED"));
  });

  it("to round without any, or by two sources", async () => {
    const { checkpoint } = llama.model;
    const outputs = [{ type: "Q4_0", path: newPath("gguf") }];
    const method = { name: "gptq" };
    await expect(planConversion({ checkpoint, outputs, rounding: { method } })).rejects.toThrow(
      refused("PLAN_STATISTICS_REQUIRED"),
    );
    const { statistics } = llama;
    const rounding = { method, statistics, inputs: statisticsInputs(statistics) };
    await expect(planConversion({ checkpoint, outputs, rounding })).rejects.toThrow(
      refused("PLAN_STATISTICS_TWICE"),
    );
  });

  it("transforms of GGUF, and of a run along", async () => {
    const path = newPath("gguf");
    const { checkpoint } = llama.model;
    await convert(await planConversion({ checkpoint, outputs: [{ type: "auto", path }], threads: 0 }));
    const transforms = [{ name: "awq" }];
    const gguf = { checkpoint: await openGgufModel(path), rounding: { transforms } };
    await expect(planFor(llama, gguf)).rejects.toThrow(refused("ROUNDING_TRANSFORM"));
    const inputs: InputSource = { ...statisticsInputs(llama.statistics), follows: true };
    await expect(planFor(llama, { rounding: { transforms, inputs } })).rejects.toThrow(
      refused("PLAN_TRANSFORM_FOLLOWS"),
    );
  });

  it("memory that is too small for a Hessian", async () => {
    await expect(planFor(llama, { memory: 100_000 })).rejects.toThrow(refused("PLAN_MEMORY"));
  });

  it("roundings that blocks of ggml do not go with", async () => {
    await expect(planFor(llama, { rounding: { method: { name: "hqq" } } })).rejects.toThrow(
      refused("QUANTIZE_COMBINATION"),
    );
  });
});
