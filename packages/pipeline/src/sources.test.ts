import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCheckpointDirectory } from "@quern/checkpoints/node";
import { describeSource } from "@quern/models";
import { decodeElements, type ElementType, encodeElements } from "@quern/tensor";
import {
  readSafetensors,
  bytesSource,
  serializeSafetensors,
  type SafetensorsTensorData,
} from "safetensors-js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { convert } from "./conversion/convert.ts";
import { readImportance } from "@quern/statistics";
import type { ConversionPlan, PlanParams } from "./plan.ts";
import { planConversion } from "./planning/plan-conversion.ts";
import { describeGguf, goldenPath, type GoldenTensor } from "./testing/golden.ts";

const model = goldenPath("llama2-spm", "checkpoint");
const GATE = "model.layers.1.mlp.gate_proj.weight";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sources-"));
});
afterEach(() => rm(folder, { recursive: true }));

type Edit = (tensor: SafetensorsTensorData) => SafetensorsTensorData | undefined;

/** A copy of the model whose tensors have been edited, or left out. */
async function editedModel(name: string, edit: Edit): Promise<string> {
  const copy = join(folder, name);
  await cp(model, copy, { recursive: true });
  const path = join(copy, "model.safetensors");
  const file = await readSafetensors(bytesSource({ bytes: await readFile(path) }));
  const tensors: SafetensorsTensorData[] = [];
  for (const tensor of file.tensors.values()) {
    const edited = edit({ ...tensor.info, bytes: await tensor.read() });
    if (edited !== undefined) tensors.push(edited);
  }
  await writeFile(path, serializeSafetensors({ tensors }));
  return copy;
}

/** The same values in another element type, rounded where that is needed. */
function recast(tensor: SafetensorsTensorData, type: ElementType): SafetensorsTensorData {
  const values = decodeElements({ type: tensor.type, bytes: tensor.bytes });
  return { ...tensor, type, bytes: encodeElements({ type, values }) };
}

/** Thirds of the weights, which need more bits than F16 has. */
function thirds(tensor: SafetensorsTensorData): SafetensorsTensorData {
  const values = decodeElements({ type: tensor.type, bytes: tensor.bytes }).map((value) => value / 3);
  return { ...tensor, type: "F32", bytes: encodeElements({ type: "F32", values }) };
}

/** The same as the converter stores them for `--outtype f16`: vectors stay F32. */
function storedThirds(tensor: SafetensorsTensorData): SafetensorsTensorData {
  return tensor.shape.length > 1 ? recast(thirds(tensor), "F16") : thirds(tensor);
}

async function plan(checkpoint: string, more: Partial<PlanParams> = {}): Promise<ConversionPlan> {
  return planConversion({
    checkpoint: await openCheckpointDirectory(checkpoint),
    outputs: [{ type: "Q4_K_M", path: join(folder, "model.gguf") }],
    force: true,
    threads: 0,
    ...more,
  });
}

async function tensorsOf(plan: ConversionPlan): Promise<readonly GoldenTensor[]> {
  await convert(plan);
  return (await describeGguf(plan.outputs[0]!.files[0]!.path)).tensors;
}

const gate = (tensors: readonly GoldenTensor[]): GoldenTensor =>
  tensors.find(({ name }) => name === "blk.1.ffn_gate.weight")!;

describe("element types of a checkpoint", () => {
  it.each(["F64", "F32"] as const)("%s holds the same weights", async (type) => {
    const copy = await editedModel("recast", (tensor) => recast(tensor, type));
    const outputs = [{ type: "Q4_K_M", path: join(folder, "model.gguf"), intermediate: "F32" as const }];
    expect(await tensorsOf(await plan(copy, { outputs }))).toEqual(
      await tensorsOf(await plan(model, { outputs })),
    );
  });

  it.each(["F8_E4M3", "F8_E5M2"] as const)("%s is read", async (type) => {
    const small = await editedModel("small", (tensor) =>
      tensor.name === GATE ? recast(tensor, type) : tensor,
    );
    const same = await editedModel("same", (tensor) =>
      tensor.name === GATE ? recast(recast(tensor, type), "BF16") : tensor,
    );
    expect(await tensorsOf(await plan(small))).toEqual(await tensorsOf(await plan(same)));
    expect(gate(await tensorsOf(await plan(small)))).not.toEqual(gate(await tensorsOf(await plan(model))));
  });

  it("a missing tensor is reported by name", async () => {
    const copy = await editedModel("missing", (tensor) => (tensor.name === GATE ? undefined : tensor));
    const error = await plan(copy).catch((error: unknown) => error);
    expect(error).toMatchObject({ code: "MODEL_TENSOR_MISSING" });
    expect((error as Error).message).toContain(GATE);
  });
});

describe("the intermediate type", () => {
  it("rounds as two steps would, or not at all", async () => {
    const precise = await editedModel("precise", thirds);
    const rounded = await editedModel("rounded", storedThirds);
    const output = { type: "Q4_K_M", path: join(folder, "model.gguf"), leaveOutputTensor: true };

    const oneStep = await plan(precise, { outputs: [{ ...output, intermediate: "F16" }] });
    expect(oneStep.outputs[0]!.tensors.find(({ name }) => name === "blk.0.attn_q.weight")?.via).toBe("F16");
    const twoSteps = await plan(rounded, { outputs: [{ ...output, intermediate: "F16" }] });
    expect(twoSteps.outputs[0]!.tensors.every(({ via }) => via === undefined)).toBe(true);
    expect(await tensorsOf(oneStep)).toEqual(await tensorsOf(twoSteps));

    const lossless = await plan(precise, { outputs: [output] });
    expect(lossless.outputs[0]).toMatchObject({ intermediate: "F32" });
    expect(gate(await tensorsOf(lossless))).not.toEqual(gate(await tensorsOf(twoSteps)));
  });

  it("is the type of the checkpoint unless given", async () => {
    expect((await plan(model)).outputs[0]).toMatchObject({ type: "Q4_K_M", intermediate: "BF16" });
    const auto = await plan(model, { outputs: [{ type: "auto", path: join(folder, "model.gguf") }] });
    expect(auto.outputs[0]).toMatchObject({ type: "BF16", flavour: "converter" });
    expect(auto.outputs[0]).not.toHaveProperty("intermediate");
  });
});

describe("importance weights", () => {
  const path = goldenPath("llama2-spm", "imatrix.gguf");

  it("of another model are refused", async () => {
    const importance = await readImportance(path);
    const shorter = new Map(importance.lengths).set("blk.0.attn_q.weight", 96).set("blk.1.attn_v.weight", 9);
    const error = await plan(model, { importance: { ...importance, lengths: shorter } }).catch(
      (error: unknown) => error,
    );
    expect(error).toMatchObject({ code: "IMPORTANCE_MISMATCH", subject: { tensor: "blk.0.attn_q.weight" } });
    expect((error as Error).message).toContain("blk.1.attn_v.weight");
  });

  it("of another model are refused by its tensors, where the file names them", async () => {
    const { architecture, tensors } = await describeSource(await openCheckpointDirectory(model));
    const importance = await readImportance(path);
    const own = { name: "collected", architecture, identity: "0", tensors };
    const planned = await plan(model, { importance: { ...importance, model: own } });
    expect(planned.outputs).toHaveLength(1);
    const other = { ...own, tensors: tensors.filter(({ name }) => name !== "blk.1.attn_norm.weight") };
    await expect(plan(model, { importance: { ...importance, model: other } })).rejects.toMatchObject({
      code: "STATISTICS_OTHER_MODEL",
      subject: { file: path, tensor: "blk.1.attn_norm.weight" },
    });
  });

  it("are demanded where a type makes no sense without", async () => {
    const importance = await readImportance(path);
    const lengths = new Map(importance.lengths);
    lengths.delete("blk.1.ffn_up.weight");
    const outputs = [{ type: "Q2_K_S", path: join(folder, "model.gguf") }];
    await expect(plan(model, { outputs })).rejects.toMatchObject({ code: "IMPORTANCE_REQUIRED" });
    await expect(plan(model, { outputs, importance: { ...importance, lengths } })).rejects.toMatchObject({
      code: "IMPORTANCE_REQUIRED",
      subject: { tensor: "blk.1.ffn_up.weight" },
    });
  });

  it("do not touch what the converter writes", async () => {
    const outputs = [{ type: "Q8_0", path: join(folder, "model.gguf") }];
    const importance = await readImportance(path);
    const planned = await plan(model, { outputs, importance });
    expect(planned.outputs[0]!.files[0]!.layout.header).toEqual(
      (await plan(model, { outputs })).outputs[0]!.files[0]!.layout.header,
    );
    expect(planned.outputs[0]!.tensors.every(({ usesImportance }) => !usesImportance)).toBe(true);
  });
});

describe("a plan", () => {
  it("names files by convention, and says what is going to happen", async () => {
    const outputs = [{ type: "q4_k_m" }, { type: "F16" }];
    const planned = await plan(model, { outputs, directory: join(folder, "new", "folder") });
    expect(planned.outputs.map(({ files }) => files.map(({ path }) => path))).toEqual([
      [join(folder, "new", "folder", "Tiny-Llama-1.0M-1.1b-Chat-v0.3-Q4_K_M.gguf")],
      [join(folder, "new", "folder", "Tiny-Llama-1.0M-1.1b-Chat-v0.3-F16.gguf")],
    ]);
    expect(planned.architecture).toBe("llama");
    expect(planned.sourceBytes).toBe(planned.checkpoint.totalBytes);
    expect(planned.outputs[0]!.bitsPerWeight).toBeGreaterThan(4.5);
    expect(planned.outputs[1]!.bitsPerWeight).toBeGreaterThan(15.9);
    const frugal = await plan(model, { outputs, directory: folder, memory: 2 ** 20 });
    expect(frugal.resources.peakMemory).toBeLessThan(planned.resources.peakMemory);
    expect(Number.isFinite(planned.resources.seconds)).toBe(true);
    const report = await convert(planned);
    expect(report).toMatchObject({ tensors: planned.tensors.length, parameters: planned.parameters });
  });

  it("says which types do not fit", async () => {
    const planned = await plan(goldenPath("qwen2", "checkpoint"));
    const fallback = planned.outputs[0]!.tensors.find(({ name }) => name === "blk.0.attn_q.weight");
    expect(fallback).toMatchObject({
      type: "F16",
      fallback: { from: "Q4_K", reason: "112 columns are not a multiple of 256" },
    });
  });

  it("refuses options that mean nothing", async () => {
    const path = join(folder, "model.gguf");
    const stray = [{ type: "F16", path, pure: true }];
    await expect(plan(model, { outputs: stray })).rejects.toMatchObject({ code: "RECIPE_OPTION" });
    const flavour = [{ type: "Q4_K_M", path, flavour: "converter" as const }];
    await expect(plan(model, { outputs: flavour })).rejects.toMatchObject({ code: "RECIPE_FLAVOUR" });
  });
});
