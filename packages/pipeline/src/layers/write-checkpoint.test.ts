import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LayerParameters } from "@quern/checkpoints";
import { type InputSource, type Statistics, statisticsInputs } from "@quern/statistics";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CheckpointEvent, CheckpointReport } from "./events.ts";
import { type LayeredModel, openLayeredModel } from "./linear-layers.ts";
import type { PlanCheckpointParams } from "./plan.ts";
import { planCheckpoint } from "./planning/plan-checkpoint.ts";
import { plannedCheckpoint } from "./planned-checkpoint.ts";
import { writeCheckpoint } from "./running/write-checkpoint.ts";
import {
  hashesOf,
  goldenModel,
  openFolder,
  recipeFor,
  type RecipeSettings,
  valuesOf,
} from "./testing/checkpoints.ts";
import { randomStatistics } from "./testing/random-statistics.ts";

const channel = { rows: 1, columns: "all" } as const;
const groups = (columns: number): LayerParameters["tile"] => ({ rows: 1, columns });
const W4: LayerParameters = { bits: 4, tile: groups(64), symmetric: true, scaleType: "BF16" };

/** What each format is tried with. */
const FORMATS: readonly RecipeSettings[] = [
  { format: "pack-quantized", parameters: W4 },
  { format: "pack-quantized", parameters: { ...W4, bits: 3, symmetric: false } },
  { format: "gptq", parameters: { ...W4, scaleType: "F16" } },
  { format: "awq", parameters: { ...W4, symmetric: false, scaleType: "F16" } },
  { format: "bnb-nf4", parameters: { ...W4, scaleType: "F32" } },
  { format: "bnb-fp4", parameters: { ...W4, scaleType: "F32", doubleQuantized: true } },
  { format: "bnb-int8", parameters: { ...W4, bits: 8, tile: channel, scaleType: "F32" } },
  { format: "int-quantized", parameters: { ...W4, bits: 8, tile: channel, activations: "dynamic" } },
  { format: "float-quantized", parameters: { ...W4, bits: 8, tile: { rows: "all", columns: "all" } } },
  {
    format: "fp8",
    parameters: { bits: 8, tile: { rows: 128, columns: 128 }, symmetric: true, scaleType: "F32" },
  },
  { format: "nvfp4-pack-quantized", parameters: { ...W4, tile: groups(16), scaleType: "F8_E4M3" } },
  { format: "mxfp4-pack-quantized", parameters: { ...W4, tile: groups(32), scaleType: "F8_E8M0" } },
  { format: "mlx", parameters: { ...W4, symmetric: false } },
];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "layers-"));
});
afterAll(() => rm(folder, { recursive: true }));

let outputs = 0;

interface Written {
  readonly model: LayeredModel;
  readonly report: CheckpointReport;
  readonly events: readonly CheckpointEvent[];
  readonly leastMemory: number;
}

async function write(
  model: LayeredModel,
  settings: RecipeSettings,
  more: Partial<PlanCheckpointParams> = {},
): Promise<Written> {
  const plan = await planCheckpoint({
    model,
    recipe: recipeFor(model, settings),
    recipeName: "test",
    output: join(folder, `output-${outputs++}`),
    threads: 0,
    tool: "tests 1",
    ...more,
  });
  const events: CheckpointEvent[] = [];
  const report = await writeCheckpoint(plan, { onEvent: (event) => events.push(event) });
  return { model: await openFolder(plan.folder), report, events, leastMemory: plan.resources.leastMemory };
}

/** Of all files. */
function bytesOf({ report }: Written): Promise<Readonly<Record<string, string>>> {
  return hashesOf(
    report.folder,
    report.files.map(({ name }) => name),
  );
}

/** Sum of squared differences between weights as they were and as the written checkpoint has them. */
async function squaredErrors(before: LayeredModel, after: LayeredModel, module: string): Promise<number> {
  const [weights, values] = await Promise.all([
    valuesOf(before, `${module}.weight`),
    valuesOf(after, `${module}.weight`),
  ]);
  return weights.reduce((sum, weight, i) => sum + (weight - values[i]!) ** 2, 0);
}

/** Offsets of scales that are quantized again come of weights. */
function withoutOffsets(tensors: LayeredModel["description"]["tensors"]): unknown {
  return JSON.parse(
    JSON.stringify(tensors, (key, value: unknown) =>
      key === "offset" && typeof value === "number" ? 0 : value,
    ),
  );
}

async function failure(
  promise: Promise<unknown>,
): Promise<{ code: string; message: string; subject: object }> {
  return promise.then(
    () => expect.fail("it should not work"),
    (error: unknown) => error as { code: string; message: string; subject: object },
  );
}

describe.each(FORMATS)("$format of $parameters.bits bits", (format) => {
  it.each([
    ["llama2-spm", {}],
    ["qwen3moe", { keep: /experts.*down_proj|layers.1/ }],
  ])("of %s is planned as it opens once it is written", async (name, more) => {
    const model = await goldenModel(name, format.format);
    const plan = await planCheckpoint({
      model,
      recipe: recipeFor(model, { ...format, ...more }),
      recipeName: "test",
      output: join(folder, `output-${outputs++}`),
      threads: 0,
      tool: "tests:1",
    });
    const planned = plannedCheckpoint(plan);
    await writeCheckpoint(plan);
    const written = await openFolder(plan.folder);
    const { checkpoint } = written;
    expect([...planned.tensors]).toEqual([...checkpoint.tensors]);
    expect(planned.shards).toEqual(checkpoint.shards);
    expect(planned.totalBytes).toBe(checkpoint.totalBytes);
    expect([...planned.files.list("")].sort()).toEqual(
      checkpoint.files
        .list("")
        .filter((file) => !/README\.md|safetensors$/.test(file))
        .sort(),
    );
    const { description } = await openLayeredModel(planned);
    expect(withoutOffsets(description.tensors)).toEqual(withoutOffsets(written.description.tensors));
    expect(description.inputs).toEqual(written.description.inputs);
  });

  it("stands for what was reported, whatever threads, memory and kernels", async () => {
    const model = await goldenModel("llama2-spm");
    const settings = { ...format, keep: /layers\.1/ };
    const written = await write(model, settings);
    expect(written.report.layers).toHaveLength(7);
    for (const { module, squaredErrors: reported, relativeError } of written.report.layers) {
      const found = await squaredErrors(model, written.model, module);
      expect(found, module).toBeGreaterThan(0);
      // Products in F32 may differ in their last bits, those of LLM.int8() by how its scales are stored.
      expect(found / reported, module).toBeCloseTo(1, 5);
      expect(relativeError).toBeLessThan(0.3);
    }
    const expected = await bytesOf(written);
    const { leastMemory: memory } = written;
    expect(await bytesOf(await write(model, settings, { threads: 2, memory }))).toEqual(expected);
    expect(await bytesOf(await write(model, settings, { backend: "wasm" }))).toEqual(expected);
  });
});

describe("everything else", () => {
  it("is as it was", async () => {
    const model = await goldenModel("llama2-spm");
    const {
      report,
      model: after,
      events,
    } = await write(model, { format: "pack-quantized", parameters: W4, keep: /layers\.1\./ });
    expect(report.layers.map(({ module }) => module)).toEqual(
      ["q", "k", "v", "o"]
        .map((name) => `model.layers.0.self_attn.${name}_proj`)
        .concat(["gate", "up", "down"].map((name) => `model.layers.0.mlp.${name}_proj`)),
    );
    for (const [name, { info }] of model.tensors) {
      if (/layers\.0\..*_proj/.test(name)) continue;
      const { type, shape } = info;
      expect(after.tensors.get(name)!.info, name).toMatchObject({ type, shape });
      const [before, now] = [await valuesOf(model, name), await valuesOf(after, name)];
      expect(
        now.every((value, index) => value === before[index]),
        name,
      ).toBe(true);
    }
    const names = report.files.map(({ name }) => name).sort();
    expect((await readdir(report.folder)).sort()).toEqual(names);
    expect(names).toEqual(expect.arrayContaining(["README.md", "config.json", "tokenizer.model"]));
    const card = await readFile(join(report.folder, "README.md"), "utf8");
    expect(card).toContain("| model.layers.0.self_attn.q_proj | nearest |");
    const { done, total } = events.filter((event) => event.type === "progress").at(-1)!;
    expect(done).toBe(total);
    expect(events.at(0)).toMatchObject({ type: "start", layers: 7 });
    expect(events.at(-1)).toEqual({ type: "done", report });
    expect(events.filter(({ type }) => type === "tensor:done")).toHaveLength(7);
  });

  it("is dequantized where it was quantized otherwise", async () => {
    const model = await goldenModel("llama2-spm");
    const settings = { format: "gptq", parameters: { ...W4, scaleType: "F16" } } as const;
    const first = await write(model, settings);
    const { model: second } = await write(first.model, {
      format: "bnb-nf4",
      parameters: { ...W4, scaleType: "F32" },
      keep: /q_proj/,
    });
    expect(second.tensors.get("model.layers.0.self_attn.q_proj.weight")!.info.type).toBe("BF16");
    const name = "model.layers.1.self_attn.q_proj.weight";
    const [before, after] = [await valuesOf(first.model, name), await valuesOf(second, name)];
    // Rounded to BF16.
    expect(after.every((value, i) => Math.abs(value - before[i]!) <= Math.abs(before[i]!) * 2 ** -8)).toBe(
      true,
    );
    expect(second.config["quantization_config"]).toMatchObject({ quant_method: "bitsandbytes" });
  });
});

describe("statistics", { tags: "kernels" }, () => {
  const GPTQ: RecipeSettings = {
    format: "pack-quantized",
    parameters: { ...W4, bits: 3, tile: groups(32), symmetric: false },
    rounding: { name: "gptq", options: { order: "descending" } },
    guard: true,
    statistics: "hessian",
    keep: /layers\.[1-9]/,
  };
  let model: LayeredModel;
  let statistics: Statistics;
  beforeAll(async () => {
    model = await goldenModel("qwen2moe");
    statistics = await randomStatistics({ model, path: join(folder, "qwen2moe.stats") });
  });
  afterAll(() => statistics.close());

  it("make outputs better than rounding to nearest, the same with all threads and memory", async () => {
    const written = await write(model, GPTQ, { statistics });
    expect(written.report.layers).toHaveLength(25);
    for (const { module, rounding, outputError, squaredErrors: reported } of written.report.layers) {
      expect(outputError!.rounded, module).toBeLessThan(outputError!.nearest!);
      expect(rounding).toBe("gptq");
      expect((await squaredErrors(model, written.model, module)) / reported).toBeCloseTo(1, 5);
    }
    const expected = await bytesOf(written);
    for (const more of [{ threads: 2 }, { threads: 1, memory: written.leastMemory }]) {
      expect(await bytesOf(await write(model, GPTQ, { statistics, ...more }))).toEqual(expected);
    }
  });

  it("that mislead are found out on inputs held out", async () => {
    // With shifted columns, the Hessians of the model belong to other inputs than those held out.
    const settings = { ...GPTQ, rounding: { name: "gptq", options: { damping: 0 } } };
    const inputs = {
      follows: false,
      async read(request: Parameters<ReturnType<typeof misled>["read"]>[0]) {
        return misled(statistics).read(request);
      },
      replace: async () => undefined,
      blockDone: async () => undefined,
      close: async () => undefined,
    };
    const { report, model: after } = await write(model, settings, { inputs });
    const nearest = report.layers.filter(({ rounding }) => rounding === "nearest");
    expect(nearest.length).toBeGreaterThan(20);
    for (const { module, outputError, squaredErrors: reported } of nearest.slice(0, 5)) {
      expect(outputError!.rounded).toBeGreaterThanOrEqual(outputError!.nearest!);
      expect((await squaredErrors(model, after, module)) / reported).toBeCloseTo(1, 5);
    }
  });

  it("give transforms their factors, and the model computes the same", async () => {
    const llama = await goldenModel("llama2-spm");
    const own = await randomStatistics({ model: llama, path: join(folder, "llama.stats") });
    const settings: RecipeSettings = {
      format: "int-quantized",
      parameters: { ...W4, bits: 8, tile: channel, activations: "static", scaleType: "F32" },
      transforms: [{ name: "smooth-quant" }],
      statistics: "channels",
    };
    const { model: after, report } = await write(llama, settings, { statistics: own });
    expect(report.warnings.map(({ code }) => code)).toEqual([]);
    const at = (name: string): string => `model.layers.0.${name}.weight`;
    const [norm, folded] = await Promise.all(
      [llama, after].map((one) => valuesOf(one, at("input_layernorm"))),
    );
    const factors = norm!.map((value, column) => value / folded![column]!);
    expect(new Set(factors.map((factor) => Math.round(10 * factor))).size).toBeGreaterThan(5);
    const [q, scaled] = await Promise.all([llama, after].map((one) => valuesOf(one, at("self_attn.q_proj"))));
    const { error, signal } = q!.reduce(
      (sum, value, i) => ({
        error: sum.error + (value * factors[i % 256]! - scaled![i]!) ** 2,
        signal: sum.signal + (value * factors[i % 256]!) ** 2,
      }),
      { error: 0, signal: 0 },
    );
    expect(Math.sqrt(error / signal)).toBeLessThan(0.02);
    await own.close();
  });

  it("make up for what outputs lose on average, where layers have a bias", async () => {
    const qwen = await goldenModel("qwen2");
    const own = await randomStatistics({ model: qwen, path: join(folder, "qwen2.stats") });
    const parameters = { ...W4, bits: 2, tile: channel } as const;
    const settings: RecipeSettings = {
      format: "pack-quantized",
      parameters,
      statistics: "channels",
      correctBias: true,
    };
    const { model: after } = await write(qwen, settings, { statistics: own });
    const module = "model.layers.0.self_attn.q_proj";
    const [weights, values] = await Promise.all(
      [qwen, after].map((one) => valuesOf(one, `${module}.weight`)),
    );
    const [bias, corrected] = await Promise.all([qwen, after].map((one) => valuesOf(one, `${module}.bias`)));
    const { mean } = await own.readChannels("blk.0.attn_q");
    for (const [row, value] of bias!.entries()) {
      const lost = mean.reduce(
        (sum, x, i) => sum + (weights![row * 112 + i]! - values![row * 112 + i]!) * x,
        0,
      );
      expect(corrected![row]!).toBeCloseTo(value + lost, 4);
    }
    await own.close();
  });
});

describe("a source that follows what layers become", () => {
  it("is told in the order of the computation, and gets the tensors as GGUF has them", async () => {
    const model = await goldenModel("mixtral");
    const statistics = await randomStatistics({ model, path: join(folder, "mixtral.stats"), tokens: 512 });
    const log: string[] = [];
    const replaced = new Map<string, Float32Array>();
    const inputs: InputSource = {
      ...statisticsInputs(statistics),
      follows: true,
      read(request) {
        log.push(`read ${request.module}`);
        return statisticsInputs(statistics).read(request);
      },
      async replace({ tensor, values }) {
        log.push(`replace ${tensor}`);
        replaced.set(tensor, values);
      },
      async blockDone(block) {
        log.push(`done ${block}`);
      },
    };
    const settings: RecipeSettings = {
      format: "pack-quantized",
      parameters: { ...W4, tile: groups(32) },
      statistics: "channels",
      // One expert stays what it is.
      keep: /layers\.1|experts\.3\.w1/,
    };
    const { model: after } = await write(model, settings, { inputs, threads: 2 });
    expect([...new Set(log)]).toEqual([
      "read blk.0.attn_q",
      ...["k", "q", "v"].map((name) => `replace blk.0.attn_${name}.weight`),
      "read blk.0.attn_output",
      "replace blk.0.attn_output.weight",
      "read blk.0.ffn_gate_exps",
      "replace blk.0.ffn_gate_exps.weight",
      "replace blk.0.ffn_up_exps.weight",
      "read blk.0.ffn_down_exps",
      "replace blk.0.ffn_down_exps.weight",
      "done 0",
    ]);
    const q = await valuesOf(after, "model.layers.0.self_attn.q_proj.weight");
    // Rows of the halves of each of the heads take turns.
    const heads = after.config["num_attention_heads"] as number;
    const half = 256 / heads / 2;
    const interleaved = Float32Array.from(q, (_, i) => {
      const [row, column] = [Math.floor(i / 256), i % 256];
      const [head, inHead] = [Math.floor(row / (2 * half)), row % (2 * half)];
      return q[(head * 2 * half + (inHead % 2) * half + Math.floor(inHead / 2)) * 256 + column]!;
    });
    expect(Buffer.compare(bytes(replaced.get("blk.0.attn_q.weight")!), bytes(interleaved))).toBe(0);
    const gates = replaced.get("blk.0.ffn_gate_exps.weight")!;
    const expert = "model.layers.0.block_sparse_moe.experts";
    const [second, kept] = await Promise.all(
      [1, 3].map((index) => valuesOf(after, `${expert}.${index}.w1.weight`)),
    );
    const size = second!.length;
    expect(Buffer.compare(bytes(gates.subarray(size, 2 * size)), bytes(second!))).toBe(0);
    expect(Buffer.compare(bytes(gates.subarray(3 * size, 4 * size)), bytes(kept!))).toBe(0);
    await statistics.close();
  });
});

it("tells a source that follows of biases that make up for what outputs lose, as they are stored", async () => {
  const qwen = await goldenModel("qwen2");
  const own = await randomStatistics({ model: qwen, path: join(folder, "qwen2-followed.stats") });
  const replaced = new Map<string, Float32Array>();
  const inputs: InputSource = {
    ...statisticsInputs(own),
    follows: true,
    async replace({ tensor, values }) {
      replaced.set(tensor, values);
    },
  };
  const settings: RecipeSettings = {
    format: "pack-quantized",
    parameters: { ...W4, bits: 2, tile: channel },
    statistics: "channels",
    correctBias: true,
  };
  const { model: after } = await write(qwen, settings, { inputs });
  for (const [tensor, name] of [
    ["blk.1.attn_v.bias", "model.layers.1.self_attn.v_proj.bias"],
    ["blk.1.attn_v.weight", "model.layers.1.self_attn.v_proj.weight"],
  ] as const) {
    const stored = await valuesOf(after, name);
    expect(Buffer.compare(bytes(replaced.get(tensor)!), bytes(stored))).toBe(0);
    expect(stored).not.toEqual(await valuesOf(qwen, name));
  }
  await own.close();
});

function bytes({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function misled(statistics: Statistics): {
  read(request: { module: string; matrix?: number }): Promise<never>;
} {
  return {
    async read({ module, matrix = 0 }) {
      const { tokens, mean, meanSquare, meanAbs, absMax } = await statistics.readChannels(module, matrix);
      const { rows } = await statistics.readHoldOut(module, matrix);
      const n = mean.length;
      const shared = new Float64Array(new SharedArrayBuffer(8 * n * n));
      const hessian = await statistics.readHessian({ module, matrix, into: shared });
      const other = hessian.slice();
      for (let i = 0; i < n; i++)
        for (let j = 0; j < n; j++) hessian[i * n + j] = other[((i + 7) % n) * n + ((j + 7) % n)]!;
      return {
        tokens,
        mean,
        meanSquare,
        meanMagnitude: meanAbs,
        largestMagnitude: absMax,
        hessian,
        heldOut: rows,
      } as never;
    },
  };
}

describe("global scales of NVFP4", () => {
  it("are the same for layers that are loaded as one", async () => {
    const model = await goldenModel("llama2-spm");
    const { model: after } = await write(model, {
      format: "nvfp4-pack-quantized",
      parameters: { ...W4, tile: groups(16), scaleType: "F8_E4M3" },
    });
    const scaleOf = async (name: string): Promise<number> => {
      const bytes = await after.checkpoint.readTensor(`model.layers.0.${name}.weight_global_scale`);
      return new DataView(bytes.buffer, bytes.byteOffset).getFloat32(0, true);
    };
    const [q, k, v, gate, up] = await Promise.all(
      ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj"].map(
        scaleOf,
      ),
    );
    expect([k, v, up]).toEqual([q, q, gate]);
    expect(q).not.toBe(gate);
  });
});

describe("what cannot be", () => {
  const settings: RecipeSettings = { format: "pack-quantized", parameters: W4 };

  it.each<[string, RecipeSettings, Partial<PlanCheckpointParams>, object]>([
    [
      "FORMAT_CANNOT_HOLD",
      { format: "pack-quantized", parameters: { ...W4, tile: groups(96) } },
      {},
      { tensor: "model.layers.0.self_attn.q_proj" },
    ],
    [
      "QUANTIZE_COMBINATION",
      { ...settings, rounding: { name: "hqq" }, parameters: { ...W4, tile: groups(64) }, format: "bnb-nf4" },
      {},
      {},
    ],
    ["QUANTIZE_UNKNOWN", { ...settings, rounding: { name: "magic" } }, {}, {}],
    ["PLAN_STATISTICS_REQUIRED", { ...settings, rounding: { name: "gptq" }, statistics: "hessian" }, {}, {}],
    ["PLAN_INCOMPATIBLE", { ...settings, parameters: { ...W4, bits: 3 } }, { loaders: ["vllm"] }, {}],
    ["PLAN_MEMORY", settings, { memory: 1000 }, { key: "memory" }],
    ["PLAN_THREADS", settings, { threads: -1 }, {}],
  ])("%s", async (code, recipe, more, subject) => {
    const model = await goldenModel("llama2-spm");
    const parameters =
      recipe.format === "bnb-nf4" ? { ...recipe.parameters, scaleType: "F32" as const } : recipe.parameters;
    const error = await failure(write(model, { ...recipe, parameters }, more));
    expect(error).toMatchObject({ code, subject });
  });

  it("statistics without Hessians, of few tokens, with nothing held out, or of another model", async () => {
    const model = await goldenModel("llama2-spm");
    const gptq: RecipeSettings = {
      ...settings,
      rounding: { name: "gptq" },
      guard: true,
      statistics: "hessian",
    };
    const without = await randomStatistics({ model, path: join(folder, "without.stats"), hessians: false });
    expect(await failure(write(model, gptq, { statistics: without }))).toMatchObject({
      code: "STATISTICS_NOT_COLLECTED",
      subject: { tensor: "blk.0.attn_q" },
    });
    const other = await goldenModel("qwen3");
    expect(await failure(write(other, gptq, { statistics: without }))).toMatchObject({
      code: "STATISTICS_OTHER_MODEL",
    });
    const few = await randomStatistics({
      model,
      path: join(folder, "few.stats"),
      tokens: 300,
      holdOut: false,
    });
    const { report } = await write(model, gptq, { statistics: few });
    expect(report.warnings.map(({ code }) => code)).toEqual([
      "STATISTICS_FEW_TOKENS",
      "STATISTICS_NO_HOLD_OUT",
    ]);
    expect(
      report.layers.every(({ rounding, outputError }) => rounding === "gptq" && outputError === undefined),
    ).toBe(true);
    await Promise.all([without.close(), few.close()]);
  });

  it("weights that no format has a place for", async () => {
    const transposed = await goldenModel("gpt2");
    const error = await failure(write(transposed, settings));
    expect(error).toMatchObject({
      code: "PLAN_NO_LAYERS",
      subject: { tensor: "transformer.h.0.attn.c_attn.weight" },
    });
    expect(error.message).toContain("Conv1D");
    // Some of them beside others.
    const model = await goldenModel("llama2-spm");
    const { report } = await write({ ...model, unfit: transposed.unfit }, settings);
    const left = report.warnings.filter(({ code }) => code === "PLAN_WEIGHTS_LEFT");
    expect(left).toHaveLength(1);
    expect(left[0]!.message).toContain(`${transposed.unfit.length} tensors`);
  });

  it("use of statistics where a recipe looks at weights alone", async () => {
    const model = await goldenModel("llama2-spm");
    const statistics = await randomStatistics({ model, path: join(folder, "unused.stats") });
    const { report } = await write(model, settings, { statistics });
    expect(report.warnings.map(({ code }) => code)).toEqual(["STATISTICS_UNUSED"]);
    const plain = await write(model, settings);
    expect(plain.report.warnings).toEqual([]);
    expect(report.layers).toEqual(plain.report.layers);
    await statistics.close();
  });

  it("decisions about layers that there are not", async () => {
    const model = await goldenModel("llama2-spm");
    const recipe = {
      decisions: [{ module: "model.nothing", keep: true }],
      transforms: [],
      statistics: "none",
      warnings: [],
    } as const;
    const plan = planCheckpoint({
      model,
      recipe,
      recipeName: "none",
      output: join(folder, "never"),
      tool: "tests 1",
    });
    expect(await failure(plan)).toMatchObject({
      code: "PLAN_LAYER_UNKNOWN",
      subject: { tensor: "model.nothing" },
    });
  });

  it("checkpoints whose experts are packed", async () => {
    expect(await failure(goldenModel("gpt-oss"))).toMatchObject({ code: "PLAN_SOURCE_PACKED" });
  });
});

describe("the folder", () => {
  const settings: RecipeSettings = { format: "pack-quantized", parameters: W4 };

  it("is replaced when that is wanted, and it is one of a model", async () => {
    const model = await goldenModel("llama2-spm");
    const output = join(folder, "again");
    await write(model, settings, { output });
    expect(await failure(write(model, settings, { output }))).toMatchObject({
      code: "OUTPUT_EXISTS",
      subject: { file: output },
    });
    await writeFile(join(output, "old"), "");
    const { report } = await write(
      model,
      { ...settings, parameters: { ...W4, bits: 8 } },
      { output, force: true },
    );
    expect((await readdir(output)).sort()).toEqual(report.files.map(({ name }) => name).sort());
    const other = join(folder, "other");
    await mkdir(other);
    await writeFile(join(other, "diary.txt"), "dear diary");
    expect(await failure(write(model, settings, { output: other, force: true }))).toMatchObject({
      code: "OUTPUT_NOT_A_MODEL",
    });
    expect(await readdir(other)).toEqual(["diary.txt"]);
  });

  it("is never that of the source", async () => {
    const model = await goldenModel("llama2-spm");
    const first = await write(model, settings);
    expect(
      await failure(write(first.model, settings, { output: first.report.folder, force: true })),
    ).toMatchObject({
      code: "OUTPUT_IS_SOURCE",
    });
  });

  it.each([0, 2])("has no name after an abort, with %i threads", async (threads) => {
    const model = await goldenModel("llama2-spm");
    const output = join(folder, `broken-${threads}`);
    const plan = await planCheckpoint({
      model,
      recipe: recipeFor(model, settings),
      recipeName: "test",
      output,
      threads,
      tool: "tests 1",
    });
    await mkdir(`${output}.partial`);
    await writeFile(join(`${output}.partial`, "left behind"), "");
    const abort = new AbortController();
    const aborted = writeCheckpoint(plan, {
      signal: abort.signal,
      onEvent: ({ type }) => type === "tensor:done" && abort.abort(new Error("enough")),
    });
    await expect(aborted).rejects.toThrow("enough");
    expect(existsSync(output)).toBe(false);
    expect(await readdir(`${output}.partial`)).not.toContain("left behind");
  });

  it("is not written for weights that are no numbers", async () => {
    const source = join(folder, "damaged");
    await mkdir(source);
    const model = await goldenModel("llama2-spm");
    const { location, tensors } = model.checkpoint;
    for (const name of await readdir(location))
      await writeFile(join(source, name), await readFile(join(location, name)));
    const name = "model.layers.1.mlp.up_proj.weight";
    const { offset, shard } = tensors.get(name)!;
    const bytes = await readFile(join(location, shard));
    // NaN in BF16.
    bytes.writeUInt16LE(0x7fc0, offset + 2 * (3 * 256 + 5));
    await writeFile(join(source, shard), bytes);
    const output = join(folder, "from-damaged");
    const error = await failure(write(await openFolder(source), settings, { output }));
    expect(error).toMatchObject({
      code: "WEIGHT_NOT_FINITE",
      subject: { tensor: name, offset: 3 * 256 + 5 },
    });
    for (const left of [output, `${output}.partial`, `${output}.partial.journal`]) {
      expect(existsSync(left)).toBe(false);
    }
  });
});
