import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { localPaths } from "@quern/checkpoints/node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { goldenModel, goldenPlan, someWindows } from "../testing/golden-plan.ts";

let folder: string;
let output: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "calibrate-"));
  output = join(folder, "statistics.safetensors");
});
afterEach(() => rm(folder, { recursive: true }));

describe("planCalibration", () => {
  it("says what a run needs, and touches nothing", async () => {
    const plan = await goldenPlan({ name: "llama2-spm", output, threads: 2 });
    const width = plan.model.graph.embedding.width;
    expect(plan).toMatchObject({ tokens: 103, output, replaces: false, threads: 2 });
    expect(plan.temporaryBytes).toBe(2 * 4 * 103 * width);
    expect(plan.fileSize).toBe(plan.statistics.fileSize);
    expect(plan.estimate.seconds).toBeGreaterThan(0);
    expect(plan.estimate.peakMemory).toBeGreaterThan(150e6);
    const blocks = plan.model.inputs;
    const squares = blocks.flat().reduce((sum, { columns }) => sum + columns ** 2, 0);
    expect(plan.estimate.operations.hessians).toBe(77 * squares);
    expect(plan.stages.map(({ passes }) => passes.length)).toEqual(Array(blocks.length + 1).fill(1));
    expect(await readdir(folder)).toEqual([]);
  });

  it("collects no Hessian of what the output layer reads, and none at all where none are wanted", async () => {
    const { statistics } = await goldenPlan({ name: "llama2-spm", output });
    const wanted = statistics.description.inputs.map(({ name, hessian }) => [name, hessian]);
    expect(wanted.slice(-2)).toEqual([
      ["blk.1.ffn_down", true],
      ["output", false],
    ]);
    const without = await goldenPlan({ name: "llama2-spm", output, hessians: false });
    expect(without.estimate.operations.hessians).toBe(0);
    expect(without.memory.hessians).toBeUndefined();
    expect(without.fileSize).toBeLessThan(statistics.fileSize / 2);
  });

  it("counts windows that are kept whole, and refuses more than are kept apart", async () => {
    const without = await goldenPlan({ name: "llama2-spm", output });
    expect(without.kept).toEqual({ windows: 0, bytes: 0 });
    const plan = await goldenPlan({ name: "llama2-spm", output, keepWindows: 1 });
    const { embedding, blocks } = plan.model.graph;
    const ofBlock = 17 * embedding.width * 4;
    expect(plan.kept).toEqual({ windows: 1, bytes: blocks.length * ofBlock });
    expect(plan.fileSize - without.fileSize).toBeGreaterThanOrEqual(plan.kept.bytes);
    expect(plan.memory.used - without.memory.used).toBe(ofBlock);
    await expect(goldenPlan({ name: "llama2-spm", output, keepWindows: 3 })).rejects.toMatchObject({
      code: "CALIBRATION_KEEP_WINDOWS",
      message: expect.stringContaining("2 are kept apart"),
    });
  });

  it("keeps fewer rows of each of many experts", async () => {
    const model = await goldenModel("qwen3moe");
    const { statistics } = await goldenPlan({ name: "", model, output });
    const rows = new Map(statistics.description.inputs.map(({ name, holdOutRows }) => [name, holdOutRows]));
    expect(rows.get("blk.0.attn_q")).toBe(26);
    expect(rows.get("blk.0.ffn_gate_exps")).toBe(26);
    const windows = someWindows(model.vocabularySize);
    const many = Array.from({ length: 200 }, () => windows.holdOut!.windows[0]!);
    const more = await goldenPlan({
      name: "",
      model,
      output,
      windows: { ...windows, holdOut: { ...windows.holdOut!, windows: many } },
    });
    const input = more.statistics.description.inputs.find(({ name }) => name === "blk.0.ffn_gate_exps")!;
    expect(input.holdOutRows).toBe(Math.ceil((256 * input.rowsPerToken) / input.matrices));
  });

  it("warns of layers that see too few tokens, once for all blocks", async () => {
    const dense = await goldenPlan({ name: "llama2-spm", output });
    const messages = dense.warnings.map(({ code, message }) => `${code} ${message}`);
    expect(messages).toHaveLength(3 + 1);
    expect(messages[0]).toMatch(/^CALIBRATION_FEW_TOKENS all of attn_q sees 77 tokens/);
    const mixture = await goldenPlan({ name: "qwen3moe", output });
    expect(mixture.warnings.map(({ code }) => code)).toContain("CALIBRATION_FEW_TOKENS_PER_EXPERT");
    expect((await goldenPlan({ name: "llama2-spm", output, hessians: false })).warnings).toEqual([]);
  });

  it.each([
    ["too little memory", { memory: 1000 }, "CALIBRATION_MEMORY"],
    ["memory that is no size", { memory: -1 }, "CALIBRATION_MEMORY"],
    ["threads that are no number", { threads: 1.5 }, "PLAN_THREADS"],
    ["a folder that is a file", { output: join(import.meta.filename, "x") }, "OUTPUT_NOT_WRITABLE"],
  ])("refuses %s", async (_, change, code) => {
    await expect(goldenPlan({ name: "llama2-spm", output, ...change })).rejects.toMatchObject({ code });
  });

  it("refuses to replace a file, unless forced, and ever to replace the model", async () => {
    await writeFile(output, "precious");
    await expect(goldenPlan({ name: "llama2-spm", output })).rejects.toMatchObject({ code: "OUTPUT_EXISTS" });
    expect((await goldenPlan({ name: "llama2-spm", output, force: true })).replaces).toBe(true);
    const model = await goldenModel("llama2-spm");
    const [shard] = model.source.shards;
    const same = goldenPlan({ name: "", model, output: localPaths([shard!])[0]!, force: true });
    await expect(same).rejects.toMatchObject({ code: "OUTPUT_IS_SOURCE" });
  });
});
