import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LayerParameters } from "@quern/checkpoints";
import { openStatistics, type Statistics } from "@quern/statistics";
import { bytesSource, readSafetensors } from "safetensors-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CheckpointReport } from "./events.ts";
import type { LayeredModel } from "./linear-layers.ts";
import type { CheckpointPlan } from "./plan.ts";
import { planCheckpoint } from "./planning/plan-checkpoint.ts";
import { writeCheckpoint } from "./running/write-checkpoint.ts";
import { goldenModel, openFolder, recipeFor, type RecipeSettings, valuesOf } from "./testing/checkpoints.ts";
import { randomStatistics, type RandomStatisticsParams } from "./testing/random-statistics.ts";

const W4: LayerParameters = {
  bits: 4,
  tile: { rows: 1, columns: 64 },
  symmetric: true,
  scaleType: "BF16",
};
const GPTQ: RecipeSettings = {
  format: "pack-quantized",
  parameters: W4,
  rounding: { name: "gptq" },
  statistics: "hessian",
  keep: /layers\.1\./,
};
const MODULE = "model.layers.0.mlp.up_proj";

let folder: string;
let model: LayeredModel;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bad-statistics-"));
  model = await goldenModel("llama2-spm");
});
afterAll(() => rm(folder, { recursive: true }));

let made = 0;

async function statisticsOf(params: Omit<RandomStatisticsParams, "model" | "path">): Promise<Statistics> {
  return randomStatistics({ model, path: join(folder, `${made++}.safetensors`), ...params });
}

function plan(settings: RecipeSettings, statistics: Statistics): Promise<CheckpointPlan> {
  return planCheckpoint({
    model,
    recipe: recipeFor(model, settings),
    recipeName: "test",
    output: join(folder, `output-${made++}`),
    statistics,
    threads: 0,
    tool: "tests 1",
  });
}

async function write(settings: RecipeSettings, statistics: Statistics): Promise<CheckpointReport> {
  const report = await writeCheckpoint(await plan(settings, statistics));
  await statistics.close();
  return report;
}

/** Weights as a folder has them. */
async function weightsIn({ folder: path }: CheckpointReport): Promise<Float32Array> {
  const values = await valuesOf(await openFolder(path), `${MODULE}.weight`);
  expect(values.every(Number.isFinite)).toBe(true);
  return values;
}

describe("inputs that are always 0", () => {
  const DEAD = [3, 64, 255];

  it("are rounded to nearest, and counted", async () => {
    const statistics = await statisticsOf({
      edit: (values, columns) => {
        for (let index = 0; index < values.length; index++) {
          if (DEAD.includes(index % columns)) values[index] = 0;
        }
      },
    });
    const report = await write(GPTQ, statistics);
    const own = report.layers.find(({ module }) => module === MODULE)!;
    expect(own.rounding).toBe("gptq");
    expect(own.deadColumns).toBe(DEAD.length);
    const nearest = await weightsIn(
      await write({ ...GPTQ, rounding: { name: "nearest" } }, await statisticsOf({})),
    );
    const found = await weightsIn(report);
    const different = new Set<number>();
    for (const [index, value] of found.entries()) {
      if (value !== nearest[index]) different.add(index % 256);
    }
    expect(different.size).toBeGreaterThan(0);
    expect(DEAD.filter((column) => different.has(column))).toEqual([]);
  });

  it("may be all there are", async () => {
    const report = await write(GPTQ, await statisticsOf({ edit: (values) => values.fill(0) }));
    expect(report.layers.find(({ module }) => module === MODULE)!.deadColumns).toBe(256);
    const nearest = await weightsIn(
      await write({ ...GPTQ, rounding: { name: "nearest" } }, await statisticsOf({})),
    );
    expect(await weightsIn(report)).toEqual(nearest);
  });
});

describe("inputs that are all alike", () => {
  it("have a singular Hessian, which is damped until it is none", async () => {
    const statistics = await statisticsOf({
      edit: (values, columns) => {
        for (let index = 0; index < values.length; index++) {
          values[index] = 1e4 * (1 + Math.floor(index / columns)) * (1 + (index % columns));
        }
      },
    });
    const report = await write(
      { ...GPTQ, rounding: { name: "gptq", options: { damping: 1e-9 } } },
      statistics,
    );
    const own = report.layers.find(({ module }) => module === MODULE)!;
    expect(own.damping).toBeGreaterThan(1e-9);
    expect(Number.isFinite(own.relativeError)).toBe(true);
    await weightsIn(report);
  });
});

describe("a plan says", () => {
  it("how few inputs there are, and how many there should be", async () => {
    const statistics = await statisticsOf({ tokens: 300 });
    const { warnings } = await plan(GPTQ, statistics);
    expect(warnings).toMatchObject([{ code: "STATISTICS_FEW_TOKENS", subject: { file: statistics.file } }]);
    expect(warnings[0]!.message).toContain("fewer than 2 inputs for each column");
    expect(warnings[0]!.message).toContain("blk.0.attn_q (300 for 256 columns)");
    await statistics.close();
  });

  it("which inputs are missing", async () => {
    const statistics = await statisticsOf({ without: "blk.0.ffn_down" });
    await expect(plan(GPTQ, statistics)).rejects.toMatchObject({
      code: "STATISTICS_UNKNOWN_MODULE",
      subject: { file: statistics.file, tensor: "blk.0.ffn_down" },
      message: expect.stringContaining("blk.0.ffn_down"),
    });
    await statistics.close();
  });
});

describe("numbers that are none", () => {
  it("are refused, with file and tensor", async () => {
    const path = join(folder, "not-finite.safetensors");
    await (await randomStatistics({ model, path })).close();
    const bytes = await readFile(path);
    const { tensors } = await readSafetensors(bytesSource({ bytes, name: path }));
    const [name, { info, offset }] = [...tensors].find(
      ([key]) => key.includes("blk.0.ffn_down") && key.endsWith("hessian"),
    )!;
    expect(info.type).toBe("F32");
    bytes.writeFloatLE(Number.NaN, offset + 4 * 17);
    await writeFile(path, bytes);
    const statistics = await openStatistics(path);
    const error: unknown = await write(GPTQ, statistics).then(
      () => expect.fail("it should not work"),
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: "STATISTICS_INVALID", subject: { file: path, tensor: name } });
    await statistics.close();
  });
});
