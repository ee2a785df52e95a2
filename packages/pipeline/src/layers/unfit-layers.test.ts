import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { presetNamed, type QuantizationRecipe, resolveRecipe } from "@quern/recipes";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LayeredModel } from "./linear-layers.ts";
import type { CheckpointPlan } from "./plan.ts";
import { planCheckpoint } from "./planning/plan-checkpoint.ts";
import { writeCheckpoint } from "./running/write-checkpoint.ts";
import { goldenModel, openFolder, valuesOf } from "./testing/checkpoints.ts";

/** Its 352 inputs do not divide into groups of 64; all others do. */
const DOWN = [0, 1].map((block) => `model.layers.${block}.mlp.down_proj`);
const FITTING = "model.layers.0.mlp.up_proj";

type Json = Readonly<Record<string, unknown>>;

let folder: string;
let model: LayeredModel;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "unfit-"));
  model = await goldenModel("stablelm");
});
afterAll(() => rm(folder, { recursive: true }));

let outputs = 0;

/** A preset in groups of 64. */
function preset(name: string, changes: Partial<QuantizationRecipe> = {}): QuantizationRecipe {
  const base = presetNamed(name);
  return { ...base, parameters: { ...base.parameters, groupSize: 64 }, ...changes };
}

function plan(recipe: QuantizationRecipe): Promise<CheckpointPlan> {
  return planCheckpoint({
    model,
    recipe: resolveRecipe(recipe, model.linears),
    recipeName: recipe.name,
    output: join(folder, `output-${outputs++}`),
    threads: 0,
    tool: "tests 1",
  });
}

async function write(
  recipe: QuantizationRecipe,
): Promise<{ after: LayeredModel; config: string; codes: string[] }> {
  const planned = await plan(recipe);
  await writeCheckpoint(planned);
  return {
    after: await openFolder(planned.folder),
    config: await readFile(join(planned.folder, "config.json"), "utf8"),
    codes: planned.warnings.map(({ code }) => code),
  };
}

/** Whether a weight is what it was. */
async function isKept(after: LayeredModel, module: string): Promise<boolean> {
  const name = `${module}.weight`;
  const [before, now] = await Promise.all([valuesOf(model, name), valuesOf(after, name)]);
  return before.every((value, index) => value === now[index]);
}

describe("layers whose inputs do not divide into groups", () => {
  it.each([
    ["w4a16-rtn", "groups of 32, 16, or one scale for each output", '"unfit: keep" or "unfit: channel"'],
    ["mlx-q8", "groups of 32, and", '"unfit: keep" goes on'],
  ])("are refused by %s, with the groups that fit and the key that decides", async (name, fitting, key) => {
    await expect(plan(preset(name, { unfit: "refuse" }))).rejects.toMatchObject({
      code: "FORMAT_CANNOT_HOLD",
      subject: { tensor: DOWN[0] },
      message: expect.stringMatching(
        new RegExp(`"${DOWN[0]}".*352 inputs do not divide into groups of 64.*${fitting}.*${key}`),
      ),
    });
  });

  it.each<[string, string, Partial<QuantizationRecipe>, object]>([
    ["w4a16-rtn", "keep", { unfit: "keep" }, { ignore: ["lm_head", ...DOWN] }],
    [
      "w4a16-rtn",
      "keep in awq",
      {
        format: "awq",
        parameters: { bits: 4, groupSize: 64, symmetric: false, scaleType: "F16" },
        unfit: "keep",
      },
      { modules_to_not_convert: ["lm_head", ...DOWN] },
    ],
    ["mlx-q8", "nothing", {}, { group_size: 64, bits: 8 }],
  ])("stay as they are where %s says %s", async (name, _what, changes, quantization) => {
    const { after, config, codes } = await write(preset(name, { ...changes, rules: [] }));
    expect(codes).toEqual(["RECIPE_LAYERS_UNFIT"]);
    const kept = await Promise.all([...DOWN, FITTING].map((module) => isKept(after, module)));
    expect(kept).toEqual([true, true, false]);
    expect((JSON.parse(config) as Json)["quantization_config"]).toMatchObject(quantization);
  });

  it("have one scale for each output where a rule says so", async () => {
    const recipe = preset("w4a16-rtn", { rules: [{ roles: ["down"], unfit: "channel" }] });
    const { after, config, codes } = await write(recipe);
    expect(codes).toEqual(["RECIPE_LAYERS_UNFIT"]);
    const weights = { strategy: "channel", group_size: null, num_bits: 4 };
    expect((JSON.parse(config) as Json)["quantization_config"]).toMatchObject({
      config_groups: { group_1: { targets: DOWN, weights } },
    });
    const found = await valuesOf(after, `${DOWN[0]}.weight`);
    expect(new Set(found.subarray(0, 352)).size).toBeLessThanOrEqual(16);
    const grouped = await valuesOf(after, `${FITTING}.weight`);
    expect(new Set(grouped.subarray(0, 128)).size).toBeGreaterThan(16);
  });

  it("are blocks that go on from row to row in bitsandbytes", async () => {
    const { after, codes } = await write(presetNamed("bnb-nf4"));
    expect(codes).toEqual([]);
    expect(await isKept(after, DOWN[0]!)).toBe(false);
  });
});
