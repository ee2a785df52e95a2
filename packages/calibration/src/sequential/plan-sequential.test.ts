import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { goldenModel, someWindows } from "../testing/golden-plan.ts";
import type { SequentialPlan } from "./plan.ts";
import { planSequential, type PlanSequentialParams } from "./plan-sequential.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sequential-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function planFor(name: string, params: Partial<PlanSequentialParams> = {}): Promise<SequentialPlan> {
  const model = await goldenModel(name);
  const windows = someWindows(model.vocabularySize);
  return planSequential({ model, windows, temporary: join(folder, "run"), threads: 0, ...params });
}

describe("planSequential", () => {
  it("says what a run needs, and touches nothing", async () => {
    const plan = await planFor("llama2-spm", { threads: 2 });
    expect(plan).toMatchObject({ mode: "true-sequential", tokens: 103, threads: 2, saves: false });
    expect(plan.stages.map(({ captures }) => captures.length)).toEqual([4, 4]);
    // All groups of both blocks, and once more through the first one.
    expect(plan.work).toBe(103 * 9);
    expect(plan.temporaryBytes).toBe(0);
    expect(plan.estimate.seconds).toBeGreaterThan(0);
    expect(plan.estimate.peakMemory).toBeGreaterThan(150e6);
    expect(await readdir(folder)).toEqual([]);
  });

  it("counts what each way of running takes", async () => {
    const plain = await planFor("llama2-spm");
    const block = await planFor("llama2-spm", { mode: "block" });
    expect(block.work).toBe(103 * 3);
    expect(block.estimate.operations.linear).toBeLessThan(plain.estimate.operations.linear);
    expect(block.estimate.operations.hessians).toBe(plain.estimate.operations.hessians);
    const cross = await planFor("llama2-spm", { cross: true });
    expect(cross.work).toBe((103 + 77) * 9);
    expect(cross.memory.used).toBeGreaterThan(plain.memory.used);
    const output = await planFor("llama2-spm", { output: true });
    expect(output.work).toBe(103 * 11);
    expect((await planFor("bert", { output: true })).stages).toHaveLength(2);
    const without = await planFor("llama2-spm", { hessians: false });
    expect(without.estimate.operations.hessians).toBe(0);
    expect(without.warnings).toEqual([]);
    expect(without.memory.used).toBeLessThan(plain.memory.used);
  });

  it("counts hidden states on disk, where they are saved or do not fit", async () => {
    const { temporaryBytes, model } = await planFor("llama2-spm", { saves: true });
    expect(temporaryBytes).toBe(2 * 4 * 103 * model.graph.embedding.width);
    const least = await planFor("llama2-spm", { memory: await leastMemory("llama2-spm") });
    expect(least.memory).toMatchObject({ batch: 1, states: 0, referenceStates: 0 });
    expect(least.temporaryBytes).toBe(temporaryBytes / 2);
  });

  it.each([
    ["too little memory", { memory: 1000 }, "CALIBRATION_MEMORY"],
    ["threads that are no number", { threads: 1.5 }, "PLAN_THREADS"],
    ["a folder that is a file", { temporary: join(import.meta.filename, "x") }, "OUTPUT_NOT_WRITABLE"],
  ])("refuses %s", async (_, change, code) => {
    await expect(planFor("llama2-spm", change)).rejects.toMatchObject({ code });
  });

  it("warns of layers that see too few tokens, and of experts whose inputs cannot be compared", async () => {
    const plan = await planFor("qwen3moe", { cross: true });
    const codes = plan.warnings.map(({ code }) => code);
    expect(codes).toContain("CALIBRATION_FEW_TOKENS_PER_EXPERT");
    expect(plan.warnings.at(-1)).toMatchObject({
      code: "CALIBRATION_ROUTING",
      message: expect.stringContaining("blk.0.ffn_gate_exps and 3 others"),
    });
  });
});

/** As the message of the refusal has it. */
async function leastMemory(name: string): Promise<number> {
  const error = await planFor(name, { memory: 1 }).catch((thrown: Error) => thrown);
  return Number(/; (\d+) are the least/.exec((error as Error).message)![1]);
}
