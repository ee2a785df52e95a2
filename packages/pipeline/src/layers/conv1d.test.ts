import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LayerParameters } from "@quern/checkpoints";
import { openCheckpointDirectory } from "@quern/checkpoints/node";
import { type InputSource, statisticsInputs } from "@quern/statistics";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { convert } from "../conversion/convert.ts";
import { planConversion } from "../planning/plan-conversion.ts";
import type { CheckpointReport } from "./events.ts";
import type { LayeredModel } from "./linear-layers.ts";
import type { PlanCheckpointParams } from "./plan.ts";
import { planCheckpoint } from "./planning/plan-checkpoint.ts";
import { writeCheckpoint } from "./running/write-checkpoint.ts";
import { openFolder, recipeFor, type RecipeSettings, valuesOf } from "./testing/checkpoints.ts";
import { randomStatistics } from "./testing/random-statistics.ts";
import { writeNarrowGpt2 } from "./testing/stored-otherwise.ts";

const W4: LayerParameters = {
  bits: 4,
  tile: { rows: 1, columns: 32 },
  symmetric: true,
  scaleType: "F16",
};
const GPTQ: RecipeSettings = { format: "gptq", parameters: W4 };
const DOWN = "transformer.h.1.mlp.c_proj";

let folder: string;
let source: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "conv1d-"));
  source = join(folder, "gpt2");
  await writeNarrowGpt2(source);
});
afterAll(() => rm(folder, { recursive: true }));

let outputs = 0;

async function write(
  model: LayeredModel,
  settings: RecipeSettings,
  more: Partial<PlanCheckpointParams> = {},
): Promise<CheckpointReport> {
  return writeCheckpoint(
    await planCheckpoint({
      model,
      recipe: recipeFor(model, settings),
      recipeName: "test",
      output: join(folder, `output-${outputs++}`),
      threads: 0,
      tool: "tests 1",
      ...more,
    }),
  );
}

/** Checks that a folder stands for what was reported. */
async function expectErrors(
  before: LayeredModel,
  { layers }: CheckpointReport,
  after: LayeredModel,
): Promise<void> {
  for (const { module, squaredErrors } of layers) {
    const name = `${module}.weight`;
    expect(after.tensors.get(name)!.info.shape).toEqual(before.tensors.get(name)!.info.shape);
    const [weights, found] = await Promise.all([valuesOf(before, name), valuesOf(after, name)]);
    const error = weights.reduce((sum, weight, index) => sum + (weight - found[index]!) ** 2, 0);
    expect(Math.abs(error - squaredErrors), module).toBeLessThanOrEqual(1e-4 * squaredErrors);
  }
}

describe.each<RecipeSettings>([
  GPTQ,
  { format: "bnb-nf4", parameters: { ...W4, tile: { rows: 1, columns: 64 }, scaleType: "F32" } },
  { format: "bnb-int8", parameters: { ...W4, bits: 8, tile: { rows: 1, columns: "all" }, scaleType: "F32" } },
])("weights of inputs x outputs in $format", (format) => {
  it("are rounded and stored as outputs x inputs, and read as they were", async () => {
    const model = await openFolder(source, format.format);
    const report = await write(model, { ...format, keep: /h\.1\.mlp/ });
    expect(report.layers).toHaveLength(6);
    expect(report.warnings).toEqual([]);
    const after = await openFolder(report.folder, format.format);
    await expectErrors(model, report, after);
    const { tensors } = await openCheckpointDirectory(report.folder);
    expect(tensors.get(`${DOWN}.weight`)!.shape).toEqual([256, 64]);
    expect(await valuesOf(after, `${DOWN}.weight`)).toEqual(await valuesOf(model, `${DOWN}.weight`));
    const converted = await convert(
      await planConversion({
        checkpoint: await openCheckpointDirectory(report.folder),
        outputs: [{ type: "F32", path: join(folder, `output-${outputs++}.gguf`) }],
        threads: 0,
      }),
    );
    expect(converted.outputs[0]!.tensors.map(({ name }) => name)).toContain("blk.0.attn_qkv.weight");
    // Once more, from what is quantized.
    const again = await write(after, { ...format, keep: /h\.1\.mlp/ });
    await expectErrors(after, again, await openFolder(again.folder, format.format));
  });
});

describe("with statistics", () => {
  it("give transforms their factors, and follow what they become", async () => {
    const model = await openFolder(source, "gptq");
    const statistics = await randomStatistics({ model, path: join(folder, "statistics.safetensors") });
    const settings: RecipeSettings = { ...GPTQ, rounding: { name: "gptq" }, statistics: "hessian" };
    // Every block is compared with what it was before anything is written.
    await write(model, { ...settings, transforms: [{ name: "awq", options: { steps: 4 } }] }, { statistics });
    const replaced = new Map<string, Float32Array>();
    const inputs: InputSource = {
      ...statisticsInputs(statistics),
      follows: true,
      async replace({ tensor, values }) {
        replaced.set(tensor, values.slice());
      },
      async blockDone() {},
    };
    const report = await write(model, settings, { inputs });
    const stored = await valuesOf(await openFolder(report.folder), `${DOWN}.weight`);
    const found = replaced.get("blk.1.ffn_down.weight")!;
    expect(found).toHaveLength(64 * 256);
    for (let row = 0; row < 64; row++) {
      for (let column = 0; column < 256; column++) {
        expect(found[row * 256 + column]).toBe(stored[column * 64 + row]);
      }
    }
    await statistics.close();
  });
});

describe("formats without a place for them", () => {
  it.each(["pack-quantized", "awq", "fp8", "mlx"])(
    "%s: leave them, and there is nothing else",
    async (format) => {
      const model = await openFolder(source, format);
      await expect(write(model, { ...GPTQ, format })).rejects.toMatchObject({
        code: "PLAN_NO_LAYERS",
        message: expect.stringContaining(`which nothing that loads ${format} takes quantized`),
      });
    },
  );
});
