import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LayerParameters } from "@quern/checkpoints";
import type { Statistics } from "@quern/statistics";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LayeredModel } from "./linear-layers.ts";
import type { CheckpointPlan, PlanCheckpointParams, PlannedFolding } from "./plan.ts";
import { planCheckpoint } from "./planning/plan-checkpoint.ts";
import { writeCheckpoint } from "./running/write-checkpoint.ts";
import { goldenModel, recipeFor, type RecipeSettings } from "./testing/checkpoints.ts";
import { randomStatistics } from "./testing/random-statistics.ts";

const W8: LayerParameters = {
  bits: 8,
  tile: { rows: 1, columns: "all" },
  symmetric: true,
  scaleType: "F32",
  activations: "dynamic",
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "transforms-"));
});
afterAll(() => rm(folder, { recursive: true }));

let outputs = 0;

function planFor(
  model: LayeredModel,
  settings: RecipeSettings,
  more: Partial<PlanCheckpointParams> = {},
): Promise<CheckpointPlan> {
  return planCheckpoint({
    model,
    recipe: recipeFor(model, settings),
    recipeName: "test",
    output: join(folder, `output-${outputs++}`),
    threads: 0,
    tool: "tests:1",
    ...more,
  });
}

describe("blocks whose factors were folded", () => {
  const settings: RecipeSettings = {
    format: "int-quantized",
    parameters: W8,
    transforms: [{ name: "smooth-quant" }],
    statistics: "channels",
  };
  let model: LayeredModel;
  let statistics: Statistics;
  beforeAll(async () => {
    model = await goldenModel("qwen2moe");
    statistics = await randomStatistics({ model, path: join(folder, "qwen2moe.stats") });
  });
  afterAll(() => statistics.close());

  it("are compared with what they were, and take memory for that", async () => {
    const plan = await planFor(model, settings, { statistics });
    const blocks = plan.checks.map(({ graph }) => graph.layer);
    expect(blocks).toEqual([...new Set(plan.foldings.map(({ folding }) => folding.layer))]);
    expect(blocks.length).toBeGreaterThan(1);
    const largest = Math.max(...plan.checks.map(({ bytes }) => bytes));
    expect(plan.resources.leastMemory).toBeGreaterThan(largest);
    expect((await writeCheckpoint(plan)).layers.length).toBeGreaterThan(0);
  });

  it("are not compared where nothing is folded", async () => {
    const plan = await planFor(model, { ...settings, transforms: [] }, { statistics });
    expect(plan.checks).toEqual([]);
  });

  it.each([0, 2])("stop everything when they compute something else, with %i threads", async (threads) => {
    const plan = await planFor(model, settings, { statistics, threads });
    const last = plan.foldings.findLast(
      ({ folding }) => folding.divides === "norm" && folding.layer !== undefined,
    )!;
    const without = (planned: PlannedFolding): PlannedFolding => ({
      ...planned,
      folding: {
        ...planned.folding,
        multiplied: planned.folding.multiplied.filter(
          ({ tensor }) => !tensor.includes("shared_expert.up_proj"),
        ),
      },
    });
    const foldings = plan.foldings.map((planned) => (planned === last ? without(planned) : planned));
    const failed = writeCheckpoint({ ...plan, foldings });
    await expect(failed).rejects.toMatchObject({
      code: "FOLDING_CHANGES_MODEL",
      subject: { key: `blk.${last.folding.layer}` },
      message: expect.stringMatching(/^block \d+ computes something else .* off by [\d.e-]+ of itself/),
    });
    expect(existsSync(plan.folder) || existsSync(`${plan.folder}.partial`)).toBe(false);
  });
});
