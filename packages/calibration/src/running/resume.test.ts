import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { localPaths } from "@quern/checkpoints/node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CalibrationPlan } from "../plan.ts";
import { goldenPlan } from "../testing/golden-plan.ts";
import { calibrate } from "./calibrate.ts";

const NAME = "qwen3moe";

let folder: string;
let output: string;
let expected: Buffer;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "calibrate-"));
  output = join(folder, "statistics.safetensors");
  const whole = join(folder, "whole.safetensors");
  await calibrate(await goldenPlan({ name: NAME, output: whole }));
  expected = await readFile(whole);
  await rm(whole);
});
afterEach(() => rm(folder, { recursive: true }));

/** Stops a run in the midst of a block, or of its hidden states. */
async function stopIn(plan: CalibrationPlan, block: number): Promise<void> {
  const controller = new AbortController();
  const run = calibrate(plan, {
    signal: controller.signal,
    onEvent: (event) => {
      if (event.type === "progress" && event.block === block) controller.abort(new Error("enough"));
    },
  });
  await expect(run).rejects.toThrow("enough");
}

describe("a calibration that was stopped", () => {
  it.each([0, 1, 2])("in block %i goes on there, and makes the same file", async (block) => {
    for (const threads of [0, 2]) {
      const plan = await goldenPlan({ name: NAME, output, threads });
      await stopIn(plan, block);
      const left = await readdir(folder);
      const file = "statistics.safetensors";
      const kept = [`${file}.hidden-${block}`, `${file}.partial`, `${file}.partial.journal`];
      const names = left.map((name) => name.replace(/-[0-9a-f]{16}$/, "")).sort();
      expect(names).toEqual(block === 0 ? [] : kept);
      const report = await calibrate(await goldenPlan({ name: NAME, output }));
      expect(report.resumed).toBe(block);
      expect(expected.equals(await readFile(output))).toBe(true);
      expect(await readdir(folder)).toEqual(["statistics.safetensors"]);
      await rm(output);
    }
  });

  it("begins again where its hidden states or its weights are not what they were", async () => {
    const plan = await goldenPlan({ name: NAME, output });
    await stopIn(plan, 1);
    const states = (await readdir(folder)).find((name) => name.includes(".hidden-"))!;
    await rm(join(folder, states));
    expect((await calibrate(plan)).resumed).toBe(0);
    expect(expected.equals(await readFile(output))).toBe(true);
    await rm(output);

    await stopIn(plan, 1);
    const copy = join(folder, "copy.safetensors");
    const [shard] = plan.model.source.shards;
    await writeFile(copy, await readFile(localPaths([shard!])[0]!));
    await utimes(copy, 1, 1);
    const source = {
      ...plan.model.source,
      shards: [{ ...shard!, location: { kind: "file" as const, path: copy } }],
    };
    const report = await calibrate({ ...plan, model: { ...plan.model, source } });
    expect(report.resumed).toBe(0);
    expect(expected.equals(await readFile(output))).toBe(true);
  });

  it("is thrown away when that is wanted, but not by a plan alone", async () => {
    await stopIn(await goldenPlan({ name: NAME, output }), 1);
    const left = await readdir(folder);
    const restarted = await goldenPlan({ name: NAME, output, restart: true });
    expect([restarted.resumes, (await goldenPlan({ name: NAME, output })).resumes]).toEqual([false, true]);
    expect(await readdir(folder)).toEqual(left);
    expect((await calibrate(restarted)).resumed).toBe(0);
    expect(expected.equals(await readFile(output))).toBe(true);
    expect(await readdir(folder)).toEqual(["statistics.safetensors"]);
  });

  it("is not gone on with by another one, unless that is forced to begin anew", async () => {
    await stopIn(await goldenPlan({ name: NAME, output }), 1);
    const other = goldenPlan({ name: NAME, output, hessians: false });
    await expect(other).rejects.toMatchObject({ code: "STATISTICS_OTHER_RUN" });
    const forced = await goldenPlan({ name: NAME, output, hessians: false, force: true });
    expect((await calibrate(forced)).resumed).toBe(0);
    expect(await readdir(folder)).toEqual(["statistics.safetensors"]);
  });
});
