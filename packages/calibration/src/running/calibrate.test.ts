import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { localPaths } from "@quern/checkpoints/node";
import { lowerEdgeOfBin } from "@quern/kernels";
import { openStatistics, type Statistics } from "@quern/statistics";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CalibrationEvent } from "../events.ts";
import { goldenModel, goldenPlan, someWindows, withLeastMemory } from "../testing/golden-plan.ts";
import { readDirectly } from "../testing/read-directly.ts";
import { calibrate } from "./calibrate.ts";

let folder: string;
let output: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "calibrate-"));
  output = join(folder, "statistics.safetensors");
});
afterEach(() => rm(folder, { recursive: true }));

const mean = (rows: readonly number[][], column: number, of: (value: number) => number): number =>
  rows.length === 0 ? 0 : rows.reduce((sum, row) => sum + of(row[column]!), 0) / rows.length;

async function expectSame(
  statistics: Statistics,
  module: string,
  matrix: number,
  rows: { fitted: number[][]; held: number[][] },
) {
  const { fitted, held } = rows;
  const { columns, hessian, holdOutRows } = statistics.input(module);
  const close = (found: ArrayLike<number>, of: (column: number) => number): void => {
    for (let column = 0; column < columns; column++) {
      const expected = of(column);
      expect(Math.abs(found[column]! - expected)).toBeLessThanOrEqual(1e-6 * Math.abs(expected) + 1e-9);
    }
  };
  const channels = await statistics.readChannels(module, matrix);
  expect(channels.tokens).toBe(fitted.length);
  close(channels.mean, (column) => mean(fitted, column, (x) => x));
  close(channels.meanSquare, (column) => mean(fitted, column, (x) => x * x));
  close(channels.meanAbs, (column) => mean(fitted, column, Math.abs));
  close(channels.absMax, (column) => fitted.reduce((most, row) => Math.max(most, Math.abs(row[column]!)), 0));

  const histogram = await statistics.readHistogram(module, matrix);
  const below = (edge: number): number => fitted.flat().filter((x) => Math.abs(x) < edge).length;
  for (const bin of [1, 900, 1100, 1200, 1250, 1300, 1400]) {
    expect(histogram.subarray(0, bin).reduce((sum, count) => sum + count, 0)).toBe(
      below(lowerEdgeOfBin(bin)),
    );
  }

  const kept = await statistics.readHoldOut(module, matrix);
  expect(kept.tokens).toBe(held.length);
  close(kept.meanSquare, (column) => mean(held, column, (x) => x * x));
  let stride = 1;
  while (Math.ceil(held.length / stride) > holdOutRows) stride *= 2;
  expect([...kept.rows]).toEqual(held.filter((_, row) => row % stride === 0).flat());

  if (!hessian) return;
  const h = await statistics.readHessian({ module, matrix });
  for (let i = 0; i < columns; i += 3) {
    for (let j = 0; j < columns; j += 5) {
      const products = fitted.map((row) => row[i]! * row[j]!);
      const bound = products.reduce((sum, product) => sum + Math.abs(product), 0);
      const exact = products.reduce((sum, product) => sum + product, 0);
      expect(Math.abs(h[i * columns + j]! - exact)).toBeLessThanOrEqual(1e-5 * bound);
    }
  }
}

describe("calibrate", () => {
  it.each(["llama2-spm", "qwen3moe", "qwen2moe", "deepseek2-lite", "gpt2", "cohere2", "bert"])(
    "collects what the linear layers of %s read",
    async (name) => {
      const plan = await goldenPlan({ name, output });
      const report = await calibrate(plan);
      expect(report).toMatchObject({
        path: output,
        bytes: plan.fileSize,
        tokens: 103,
        resumed: 0,
        threads: 0,
      });
      expect(await readdir(folder)).toEqual(["statistics.safetensors"]);
      const rows = await readDirectly(plan);
      const statistics = await openStatistics(output);
      for (const { modules, matrices } of statistics.inputs) {
        for (let matrix = 0; matrix < matrices; matrix++) {
          const module = modules.at(-1)!;
          const own = rows.get(`${module} ${matrix}`) ?? { fitted: [], held: [] };
          await expectSame(statistics, module, matrix, own);
        }
      }
      await statistics.close();
    },
  );

  it.each(["llama2-spm", "qwen3moe", "deepseek2-lite"])(
    "writes the same file for %s with any threads and any memory",
    async (name) => {
      const plan = await goldenPlan({ name, output });
      await calibrate(plan);
      const expected = await readFile(output);
      for (const threads of [1, 2]) {
        const path = join(folder, `${threads}.safetensors`);
        const other = await goldenPlan({ name, output: path, threads });
        await calibrate(threads === 1 ? withLeastMemory(other, 100_000) : other);
        expect(expected.equals(await readFile(path))).toBe(true);
      }
      const least = withLeastMemory({ ...plan, force: true }, 30_000);
      expect(Math.max(...least.stages.map(({ passes }) => passes.length))).toBeGreaterThan(10);
      await calibrate(least);
      expect(expected.equals(await readFile(output))).toBe(true);
    },
  );

  it.each(["llama2-spm", "deepseek2-lite"])(
    "keeps what attention of %s reads in whole windows, with any threads and any memory",
    async (name) => {
      const plan = await goldenPlan({ name, output, keepWindows: 2 });
      const report = await calibrate(plan);
      expect(report.bytes).toBe(plan.fileSize);
      const rows = await readDirectly(plan);
      const statistics = await openStatistics(output);
      const kept = statistics.inputs.filter(({ windows }) => windows !== undefined);
      expect(kept.map((input) => input.name)).toEqual(plan.model.inputs.map(([first]) => first!.name));
      for (const { name: module } of kept) {
        const found = await statistics.readWindows(module);
        expect(found.starts).toEqual([0, 17, 20]);
        expect([...found.rows]).toEqual(rows.get(`${module} 0`)!.held.flat());
      }
      await statistics.close();
      const expected = await readFile(output);
      const path = join(folder, "other.safetensors");
      const other = await goldenPlan({ name, output: path, keepWindows: 2, threads: 2 });
      await calibrate(withLeastMemory(other, 100_000));
      expect(expected.equals(await readFile(path))).toBe(true);
    },
  );

  it("leaves out what is not wanted", async () => {
    const model = await goldenModel("llama2-spm");
    const windows = someWindows(model.vocabularySize, { heldOut: false });
    await calibrate(await goldenPlan({ name: "", model, windows, hessians: false, output }));
    const statistics = await openStatistics(output);
    await expect(statistics.readHessian({ module: "blk.0.attn_q" })).rejects.toMatchObject({
      code: "STATISTICS_NOT_COLLECTED",
    });
    await expect(statistics.readHoldOut("blk.0.attn_q")).rejects.toMatchObject({
      code: "STATISTICS_NOT_COLLECTED",
    });
    expect((await statistics.readChannels("blk.0.attn_q")).tokens).toBe(77);
    await statistics.close();
  });

  it.each([0, 1])("names the block that makes NaN, with %i threads", async (threads) => {
    const plan = await goldenPlan({ name: "llama2-spm", output, threads });
    const { source } = plan.model;
    const [shard] = source.shards;
    const { offset } = source.tensors.get("model.layers.1.post_attention_layernorm.weight")!;
    const bytes = await readFile(localPaths([shard!])[0]!);
    bytes.fill(0xff, offset, offset + 2);
    const path = join(folder, "damaged.safetensors");
    await writeFile(path, bytes);
    const model = {
      ...plan.model,
      source: { ...source, shards: [{ ...shard!, location: { kind: "file" as const, path } }] },
    };
    await expect(calibrate({ ...plan, model })).rejects.toMatchObject({
      code: "ACTIVATION_NOT_FINITE",
      message: expect.stringMatching(/^blk\.1 makes NaN of token 0 of window \d/),
    });
    // The first block is complete: a repaired model would be another one, and begins again.
    expect((await calibrate(plan)).resumed).toBe(0);
    await rm(path);
    expect(await readdir(folder)).toEqual(["statistics.safetensors"]);
  });

  it("tells how far it is, and which experts saw little", async () => {
    const events: CalibrationEvent[] = [];
    const plan = await goldenPlan({ name: "qwen3moe", output });
    const report = await calibrate(plan, { onEvent: (event) => events.push(event) });
    const blocks = plan.model.graph.blocks.length;
    expect(events[0]).toEqual({
      type: "start",
      tokens: 103,
      windows: 7,
      blocks,
      resumed: 0,
      files: [output],
    });
    const progress = events.filter((event) => event.type === "progress");
    expect(progress).toHaveLength(7 * (blocks + 1));
    expect(progress[0]).toMatchObject({ place: `block 1 of ${blocks}`, done: 20, total: 103 * (blocks + 1) });
    expect(progress.at(-1)).toMatchObject({ place: "output layer", done: 103 * (blocks + 1) });
    expect(events.filter((event) => event.type === "block:done").map(({ finished }) => finished)).toEqual(
      Array.from({ length: blocks + 1 }, (_, index) => index + 1),
    );
    expect(events.slice(-2).map(({ type }) => type)).toEqual(["output:done", "done"]);
    expect(report.rareExperts[0]).toMatchObject({ input: "blk.0.ffn_gate_exps", experts: 16 });
    expect(report.rareExperts[0]!.few).toBe(16);
  });
});
