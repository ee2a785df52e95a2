// @module-tag kernels

import { link, mkdtemp, open, readdir, readFile, rename, rm, symlink, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { localPaths, openCheckpointDirectory, openGgufModel } from "@quern/checkpoints/node";
import { ggufString, ggufUint32, type GgufTensorSpec, type GgufValue, planGguf } from "@quern/gguf";
import { kernelInfo } from "@quern/kernels";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { convert } from "./conversion/convert.ts";
import { relativeError } from "./errors.ts";
import type { ConversionEvent } from "./events.ts";
import type { ConversionPlan, PlanParams } from "./plan.ts";
import { planConversion } from "./planning/plan-conversion.ts";
import type { OutputRequest } from "./recipe.ts";
import { goldenPath } from "./testing/golden.ts";

let sources: string;
let folder: string;
beforeAll(async () => {
  sources = await mkdtemp(join(tmpdir(), "gguf-sources-"));
  const checkpoint = await openCheckpointDirectory(goldenPath("mixtral", "checkpoint"));
  const outputs: OutputRequest[] = ["BF16", "Q8_0", "Q4_K_S"].map((type) => ({
    type,
    path: join(sources, `${type}.gguf`),
  }));
  const split = { type: "BF16", path: join(sources, "set.gguf"), split: { maxTensors: 5 } };
  await convert(await planConversion({ checkpoint, outputs: [...outputs, split], threads: 0 }));
});
afterAll(() => rm(sources, { recursive: true }));

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "gguf-input-"));
  return () => rm(folder, { recursive: true });
});

const sourceOf = (type: string): string => join(sources, `${type}.gguf`);

async function plan(
  path: string,
  output: Partial<OutputRequest>,
  more: Partial<PlanParams> = {},
): Promise<ConversionPlan> {
  return planConversion({
    checkpoint: await openGgufModel(path),
    outputs: [{ type: "Q4_K_M", path: join(folder, "out.gguf"), ...output }],
    threads: 0,
    ...more,
  });
}

/** A file of these tensors, filled with zeros. */
async function writeGguf(
  tensors: readonly GgufTensorSpec[],
  pairs: readonly (readonly [string, GgufValue])[] = [
    ["general.architecture", ggufString("llama")],
    ["llama.block_count", ggufUint32(1)],
  ],
): Promise<string> {
  const path = join(folder, "model.gguf");
  const { header, fileSize } = planGguf({ metadata: new Map(pairs), tensors });
  const file = await open(path, "w");
  await file.write(header);
  await file.truncate(fileSize);
  await file.close();
  return path;
}

/** Overwrites bytes of a tensor. */
async function patch(path: string, tensor: string, at: number, bytes: readonly number[]): Promise<void> {
  const { offset } = (await openGgufModel(path)).tensors.get(tensor)!;
  const file = await open(path, "r+");
  await file.write(Uint8Array.from(bytes), 0, bytes.length, offset + at);
  await file.close();
}

async function copyOf(type: string): Promise<string> {
  const path = join(folder, "model.gguf");
  await convert(await plan(sourceOf(type), { type: "COPY", path }));
  return path;
}

describe("what GGUF cannot be asked for", () => {
  it.each([
    [{ type: "Q8_0", flavour: "converter" }, "RECIPE_FLAVOUR", "flavour"],
    [{ type: "auto" }, "RECIPE_OPTION", "type"],
    [{ intermediate: "F32" }, "RECIPE_OPTION", "intermediate"],
    [{ type: "COPY", pure: true }, "RECIPE_OPTION", "pure"],
    [{ keepSplit: true, split: { maxTensors: 3 } }, "RECIPE_OPTION", "split"],
    [{ pruneLayers: [2] }, "RECIPE_PRUNE_LAYERS", "pruneLayers"],
    [{ pruneLayers: [1, 0] }, "RECIPE_PRUNE_LAYERS", "pruneLayers"],
  ] as const)("%o", async (output, code, key) => {
    await expect(plan(sourceOf("BF16"), output)).rejects.toMatchObject({ code, subject: { key } });
  });

  it("has its vocabulary", async () => {
    await expect(plan(sourceOf("BF16"), {}, { preTokenizer: "llama-bpe" })).rejects.toMatchObject({
      code: "RECIPE_OPTION",
      subject: { key: "preTokenizer" },
    });
  });

  it("and a checkpoint cannot: the split of its source", async () => {
    const checkpoint = await openCheckpointDirectory(goldenPath("mixtral", "checkpoint"));
    const outputs = [{ type: "Q4_K_M", keepSplit: true }];
    await expect(planConversion({ checkpoint, outputs })).rejects.toMatchObject({
      code: "RECIPE_OPTION",
      subject: { key: "keepSplit" },
    });
  });
});

describe("quantizing again", () => {
  it("is refused before anything is read, for the first tensor that it concerns", async () => {
    await expect(plan(sourceOf("Q8_0"), {})).rejects.toMatchObject({
      code: "MIXTURE_REQUANTIZES",
      subject: { tensor: "output.weight" },
    });
    await expect(plan(sourceOf("Q8_0"), { type: "Q8_0" })).resolves.toBeDefined();
  });

  it("is reported by tensor and in all, alike for any threads, memory and kernels", async () => {
    const outputs = ["Q4_K_M", "Q6_K", "F32"].map((type) => ({
      type,
      path: join(folder, `${type}.gguf`),
      allowRequantize: true,
    }));
    const run = async (more: Partial<PlanParams>) => {
      const events: ConversionEvent[] = [];
      const report = await convert(await plan(sourceOf("Q8_0"), {}, { outputs, force: true, ...more }), {
        onEvent: (event) => events.push(event),
      });
      const tensors = events.flatMap((event) => (event.type === "tensor:done" ? (event.errors ?? []) : []));
      return { errors: report.outputs.map(({ errors }) => errors!), tensors };
    };
    const { errors: expected, tensors } = await run({});
    const [fourBits, sixBits, floats] = expected;
    expect(relativeError(fourBits!)).toBeGreaterThan(0.03);
    expect(relativeError(fourBits!)).toBeLessThan(0.15);
    expect(relativeError(sixBits!)).toBeGreaterThan(0.003);
    expect(relativeError(sixBits!)).toBeLessThan(relativeError(fourBits!) / 2);
    expect(relativeError(floats!)).toBe(0);
    expect(fourBits![0]).toMatchObject({
      output: 0,
      name: "output.weight",
      from: "Q8_0",
      to: "Q6_K",
    });
    const matrices = [...(await openGgufModel(sourceOf("Q8_0"))).tensors.values()];
    expect(floats!.length).toBe(matrices.filter(({ ggmlType }) => ggmlType === "Q8_0").length);
    expect(new Set(tensors)).toEqual(new Set(expected.flat()));

    const backends = (await kernelInfo()).filter(({ isas }) => isas.length > 0);
    for (const more of [
      { threads: 1 },
      { threads: 3 },
      { memory: 1 },
      { memory: 50_000, threads: 2 },
      ...backends.map(({ backend }) => ({ backend })),
    ]) {
      expect((await run(more)).errors).toEqual(expected);
    }
  });

  it("goes with layers left out, for each output by itself", async () => {
    const outputs = [
      { type: "Q6_K", path: join(folder, "short.gguf"), allowRequantize: true, pruneLayers: [0] },
      { type: "COPY", path: join(folder, "copy.gguf") },
    ];
    const report = await convert(await plan(sourceOf("Q8_0"), {}, { outputs }));
    const names = report.outputs[0]!.errors!.map(({ name }) => name);
    expect(names).toContain("blk.0.attn_q.weight");
    expect(names).not.toContain("blk.1.attn_q.weight");
    expect(report.outputs[1]!.errors).toBeUndefined();
    expect([...(await openGgufModel(join(folder, "copy.gguf"))).tensors.keys()]).toContain(
      "blk.1.attn_q.weight",
    );
  });
});

describe("leaving out layers of a checkpoint", () => {
  it("equals leaving them out of its file, and reads no more than that", async () => {
    const checkpoint = await openCheckpointDirectory(goldenPath("mixtral", "checkpoint"));
    const output = { type: "Q4_K_M", pruneLayers: [0] };
    const whole = await plan(sourceOf("BF16"), {});
    const ofFile = await plan(sourceOf("BF16"), { ...output, path: join(folder, "file.gguf") });
    const ofCheckpoint = await planConversion({
      checkpoint,
      outputs: [{ ...output, path: join(folder, "checkpoint.gguf"), intermediate: "BF16" }],
      threads: 0,
    });
    expect(ofFile.tensors.length).toBeLessThan(whole.tensors.length);
    expect(ofFile.sourceBytes).toBeLessThan(whole.sourceBytes);
    expect(ofFile.parameters).toBe(ofCheckpoint.parameters);
    await convert(ofFile);
    await convert(ofCheckpoint);
    const [a, b] = await Promise.all(
      ["file.gguf", "checkpoint.gguf"].map((name) => readFile(join(folder, name))),
    );
    expect(a!.equals(b!)).toBe(true);
  });
});

describe("damaged files", () => {
  it.each(["COPY", "Q8_0"])("a scale that is NaN: %s", async (type) => {
    const path = await copyOf("Q4_K_S");
    const tensor = "blk.1.attn_q.weight";
    const { ggmlType, ne } = (await openGgufModel(path)).tensors.get(tensor)!;
    expect([ggmlType, ne]).toEqual(["Q4_K", [256, 256]]);
    // The half-precision scale of the block is its first two bytes.
    await patch(path, tensor, 144 * 7, [0x00, 0x7e]);
    const planned = await plan(path, { type, ...(type === "COPY" ? {} : { allowRequantize: true }) });
    await expect(convert(planned)).rejects.toMatchObject({
      code: "WEIGHT_NOT_FINITE",
      subject: { tensor, offset: 7 * 256 },
    });
    expect(await readdir(folder)).toEqual(["model.gguf"]);
  });

  it("a float that is infinite", async () => {
    const path = await copyOf("BF16");
    await patch(path, "output_norm.weight", 8, [0, 0, 0x80, 0x7f]);
    await expect(convert(await plan(path, { type: "COPY" }))).rejects.toMatchObject({
      code: "WEIGHT_NOT_FINITE",
      subject: { tensor: "output_norm.weight", offset: 2 },
    });
  });

  it("one that is cut after it was opened", async () => {
    const path = await copyOf("BF16");
    const planned = await plan(path, {});
    await truncate(path, 1000);
    await expect(convert(planned)).rejects.toMatchObject({ code: "CHECKPOINT_CHANGED" });
    await expect(openGgufModel(path)).rejects.toMatchObject({ code: "GGUF_TRUNCATED" });
  });
});

describe("types that nothing reads", () => {
  const weight = (type: string): GgufTensorSpec => ({ name: "blk.0.ffn_up.weight", type, ne: [256, 4] });

  it.each(["Q8_1", "Q8_K", "I8", "I32", "I64"])("%s cannot become another, and is copied", async (type) => {
    const path = await writeGguf([weight(type)]);
    await expect(plan(path, { allowRequantize: true })).rejects.toMatchObject({
      code: "TENSOR_TYPE_UNSUPPORTED",
      subject: { tensor: "blk.0.ffn_up.weight" },
    });
    await convert(await plan(path, { type: "COPY" }));
    const { tensors } = await openGgufModel(join(folder, "out.gguf"));
    expect(tensors.get("blk.0.ffn_up.weight")).toMatchObject({ ggmlType: type, ne: [256, 4] });
  });

  it("are of no matter to tensors that keep their type", async () => {
    const path = await writeGguf([{ ...weight("I32"), name: "blk.0.ids" }, weight("F16")]);
    expect((await plan(path, {})).outputs[0]!.tensors).toMatchObject([
      { type: "Q4_K", packed: false },
      { type: "I32", packed: true },
    ]);
  });
});

describe("files that are no models", () => {
  it.each([
    [[["general.type", ggufString("imatrix")]], "general.architecture"],
    [
      [
        ["general.type", ggufString("adapter")],
        ["general.architecture", ggufString("llama")],
      ],
      "general.type",
    ],
  ] as const)("%#", async (pairs, key) => {
    const path = await writeGguf([{ name: "x.weight", type: "F32", ne: [256] }], pairs);
    await expect(plan(path, { type: "COPY" })).rejects.toMatchObject({
      code: "MODEL_NOT_A_MODEL",
      subject: { file: "model", key },
    });
  });

  it("tensors without elements", async () => {
    const path = await writeGguf([{ name: "x.weight", type: "F32", ne: [256, 0] }]);
    await expect(plan(path, {})).rejects.toMatchObject({
      code: "MODEL_TENSOR_INVALID",
      subject: { tensor: "x.weight" },
    });
  });
});

describe("outputs in the place of the source", () => {
  it("are refused by any name of the file", async () => {
    const source = await copyOf("BF16");
    const hard = join(folder, "hard.gguf");
    await link(source, hard);
    const soft = join(folder, "soft.gguf");
    await symlink(source, soft);
    for (const path of [source, hard, soft]) {
      await expect(plan(source, { path }, { force: true })).rejects.toMatchObject({
        code: "OUTPUT_IS_SOURCE",
      });
    }
    await expect(plan(soft, { path: source }, { force: true })).rejects.toMatchObject({
      code: "OUTPUT_IS_SOURCE",
    });
  });

  it("are refused where the partial file would be the source", async () => {
    const source = join(folder, "out.gguf.partial");
    await rename(await copyOf("BF16"), source);
    await expect(plan(source, {})).rejects.toMatchObject({
      code: "OUTPUT_IS_SOURCE",
      subject: { file: source },
    });
  });

  it("are refused for parts of a set", async () => {
    const first = join(
      sources,
      (await readdir(sources)).find((name) => name.startsWith("set-00001-of-"))!,
    );
    const set = await openGgufModel(first);
    const last = localPaths(set.shards).at(-1)!;
    await expect(plan(first, { path: last }, { force: true })).rejects.toMatchObject({
      code: "OUTPUT_IS_SOURCE",
    });
    const output = { keepSplit: true, path: join(sources, "set.gguf") };
    await expect(plan(last, output, { force: true })).rejects.toMatchObject({ code: "OUTPUT_IS_SOURCE" });
  });
});
