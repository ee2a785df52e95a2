import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LayerParameters } from "@quern/checkpoints";
import { openCheckpointDirectory } from "@quern/checkpoints/node";
import type { JsonObject } from "@quern/manifest";
import { readManifest } from "@quern/manifest/node";
import { presetNamed, resolveRecipe } from "@quern/recipes";
import { QuernError } from "@quern/tensor";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { convert } from "../conversion/convert.ts";
import { planConversion } from "../planning/plan-conversion.ts";
import { withFlippedByte } from "../testing/flip-byte.ts";
import { rederive } from "../verification/rederive.ts";
import type { CheckpointReport } from "./events.ts";
import type { LayeredModel } from "./linear-layers.ts";
import type { CheckpointPlan, PlanCheckpointParams } from "./plan.ts";
import { planCheckpoint } from "./planning/plan-checkpoint.ts";
import { writeCheckpoint } from "./running/write-checkpoint.ts";
import { goldenModel, openFolder, recipeFor, type RecipeSettings, valuesOf } from "./testing/checkpoints.ts";
import { turnedMatrix, writeMergedQwen, writePlainGptOss } from "./testing/stored-otherwise.ts";
import { randomStatistics } from "./testing/random-statistics.ts";

const W4: LayerParameters = {
  bits: 4,
  tile: { rows: 1, columns: 32 },
  symmetric: true,
  scaleType: "BF16",
};
const MLX: RecipeSettings = { format: "mlx", parameters: { ...W4, symmetric: false } };
const BLOCKS = { rows: 128, columns: 128 };

let folder: string;
let merged: string;
let gptOss: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "experts-"));
  merged = join(folder, "merged");
  gptOss = join(folder, "gpt-oss");
  await Promise.all([writeMergedQwen(merged), writePlainGptOss(gptOss)]);
});
afterAll(() => rm(folder, { recursive: true }));

let outputs = 0;

function plan(
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
    tool: "tests 1",
    ...more,
  });
}

async function write(...params: Parameters<typeof plan>): Promise<CheckpointReport> {
  return writeCheckpoint(await plan(...params));
}

/** Hashes of tensors by name. */
function hashes({ tensors }: CheckpointReport): Readonly<Record<string, string>> {
  return Object.fromEntries(tensors.map(({ name, sha256 }) => [name, sha256]));
}

/** Checksums of the tensors of a GGUF file that a folder becomes. */
async function ggufOf(path: string): Promise<Readonly<Record<string, string>>> {
  const converted = await convert(
    await planConversion({
      checkpoint: await openCheckpointDirectory(path),
      outputs: [{ type: "F32", path: join(folder, `output-${outputs++}.gguf`) }],
      threads: 0,
    }),
  );
  return Object.fromEntries(converted.outputs[0]!.tensors.map(({ name, crc32 }) => [name, crc32]));
}

describe.each<RecipeSettings>([
  { format: "gptq", parameters: { ...W4, scaleType: "F16" } },
  { format: "awq", parameters: { ...W4, symmetric: false, scaleType: "F16" } },
  { format: "pack-quantized", parameters: W4 },
  {
    format: "nvfp4-pack-quantized",
    parameters: { ...W4, tile: { rows: 1, columns: 16 }, scaleType: "F8_E4M3" },
  },
  { format: "fp8", parameters: { ...W4, bits: 8, tile: BLOCKS, scaleType: "F32" }, keep: /\.experts\.3\./ },
])("experts of one tensor in $format", (settings) => {
  it("become what experts that were apart become", async () => {
    const [one, other] = await Promise.all([
      write(await openFolder(merged, settings.format), settings),
      write(await goldenModel("qwen3moe", settings.format), settings),
    ]);
    expect(hashes(one)).toEqual(hashes(other));
    expect(Object.keys(hashes(one))).toEqual(
      expect.arrayContaining([expect.stringMatching(/^model\.layers\.1\.mlp\.experts\.15\.down_proj\.\w+$/)]),
    );
    const gguf = await ggufOf(one.folder);
    expect(gguf).toEqual(await ggufOf(other.folder));
    expect(Object.keys(gguf)).toContain("blk.1.ffn_gate_exps.weight");
    const config = await Promise.all(
      [one, other].map((report) => readFile(join(report.folder, "config.json"), "utf8")),
    );
    expect(config[0]).toBe(config[1]);
  });
});

describe("MLX", () => {
  it("gets all experts of a block in one tensor, however the checkpoint has them", async () => {
    const [one, other] = await Promise.all([
      write(await openFolder(merged, "mlx"), MLX),
      write(await goldenModel("qwen3moe", "mlx"), MLX),
    ]);
    expect(hashes(one)).toEqual(hashes(other));
    const written = await openCheckpointDirectory(one.folder);
    const stacked = [...written.tensors.values()].filter(({ name }) => name.includes("layers.0.mlp."));
    expect(
      Object.fromEntries(stacked.map(({ name, type, shape }) => [name.slice(19), [type, ...shape]])),
    ).toEqual({
      "gate.weight": ["BF16", 16, 128],
      "switch_mlp.down_proj.weight": ["U32", 16, 128, 4],
      "switch_mlp.down_proj.scales": ["BF16", 16, 128, 1],
      "switch_mlp.down_proj.biases": ["BF16", 16, 128, 1],
      "switch_mlp.gate_proj.weight": ["U32", 16, 32, 16],
      "switch_mlp.gate_proj.scales": ["BF16", 16, 32, 4],
      "switch_mlp.gate_proj.biases": ["BF16", 16, 32, 4],
      "switch_mlp.up_proj.weight": ["U32", 16, 32, 16],
      "switch_mlp.up_proj.scales": ["BF16", 16, 32, 4],
      "switch_mlp.up_proj.biases": ["BF16", 16, 32, 4],
    });
    expect(await ggufOf(one.folder)).toEqual(await ggufOf(other.folder));
    await expectErrors(await openFolder(merged, "mlx"), one, (module) => {
      const [, block, index, name] = /layers\.(\d+)\.mlp\.experts\.(\d+)\.(\w+)$/.exec(module) ?? [];
      return block === undefined
        ? undefined
        : { tensor: `model.layers.${block}.mlp.switch_mlp.${name}.weight`, index: Number(index), count: 16 };
    });
  });

  it("gets those of gpt-oss with gate and up apart, and with biases", async () => {
    const model = await openFolder(gptOss, "mlx");
    const report = await write(model, MLX);
    const after = await openFolder(report.folder);
    const experts = "model.layers.1.mlp.experts";
    const raw = await openFolder(gptOss);
    const [both, shape] = [
      await valuesOf(raw, `${experts}.gate_up_proj`),
      raw.tensors.get(`${experts}.gate_up_proj`)!.info.shape,
    ];
    expect(await valuesOf(model, `${experts}.2.up_proj.weight`)).toEqual(
      turnedMatrix(both, shape, { matrix: 2, start: 1, step: 2 }),
    );
    const bias = await valuesOf(raw, `${experts}.gate_up_proj_bias`);
    expect(await valuesOf(after, `${experts}.gate_proj.bias`)).toEqual(
      bias.filter((_, index) => index % 2 === 0),
    );
    await expectErrors(model, report, (module) => {
      const [, block, index, name] = /layers\.(\d+)\.mlp\.experts\.(\d+)\.(\w+)$/.exec(module) ?? [];
      return block === undefined
        ? undefined
        : { tensor: `model.layers.${block}.mlp.experts.${name}.weight`, index: Number(index), count: 4 };
    });
    const found = await ggufOf(report.folder);
    expect(Object.keys(found)).toEqual(
      expect.arrayContaining(["blk.0.ffn_gate_exps.bias", "blk.0.ffn_up_exps.weight"]),
    );
  });

  it("goes on with experts of a block where it stopped", async () => {
    const model = await openFolder(gptOss, "mlx");
    const planned = await plan(model, MLX);
    const expected = hashes(await write(model, MLX));
    const controller = new AbortController();
    const stopped = writeCheckpoint(planned, {
      signal: controller.signal,
      onEvent: (event) => {
        if (event.type === "tensor:done" && event.name.includes("experts.2."))
          controller.abort(new Error("enough"));
      },
    });
    await expect(stopped).rejects.toThrow("enough");
    const report = await writeCheckpoint(planned);
    expect(report.resumed).toBeGreaterThan(0);
    expect(hashes(report)).toEqual(expected);
  });

  it("is made again and compared, tensor by tensor", async () => {
    const preset = presetNamed("mlx-q8");
    const recipe = { ...preset, parameters: { ...preset.parameters, groupSize: 32 } };
    const model = await openFolder(merged, "mlx");
    const tool = { name: "tests", version: "1.0.0" };
    const { folder: path } = await write(model, MLX, {
      recipe: resolveRecipe(recipe, model.linears, model),
      tool: "tests 1.0.0",
      provenance: { tool, recipe: recipe as unknown as JsonObject },
    });
    const manifest = await readManifest(join(path, "quern-manifest.json"));
    const params = { manifest, folder: path, source: model.checkpoint, threads: 0, sample: "all" } as const;
    const result = await rederive(params);
    expect(result.findings).toEqual([]);
    expect(result.tensors).toHaveLength(manifest.tensors.length);
    const tensor = manifest.tensors.find(
      ({ name }) => name === "model.layers.1.mlp.switch_mlp.up_proj.weight",
    )!;
    const file = join(path, manifest.files[tensor.file]!.name);
    const offset = tensor.offset + Math.floor(tensor.bytes / 2) + 1;
    await withFlippedByte({ path: file, offset, mask: 4 }, async () => {
      expect((await rederive(params)).findings).toMatchObject([
        { kind: "tensor", tensor: tensor.name, offset },
      ]);
    });
  });

  it("refuses experts of a block that are treated differently", async () => {
    const model = await openFolder(merged, "mlx");
    await expect(plan(model, { ...MLX, keep: /layers\.0\.mlp\.experts\.3\.up_proj/ })).rejects.toMatchObject({
      code: "FORMAT_CANNOT_HOLD",
      message: expect.stringContaining('"model.layers.0.mlp.experts.3.up_proj" is quantized otherwise'),
    });
    const kept = await write(model, { ...MLX, keep: /layers\.0\.mlp\.experts\.\d+\.up_proj/ });
    const written = await openCheckpointDirectory(kept.folder);
    expect(written.tensors.get("model.layers.0.mlp.switch_mlp.up_proj.weight")).toMatchObject({
      type: "BF16",
      shape: [16, 32, 128],
    });
    expect(await ggufOf(kept.folder)).toHaveProperty(["blk.0.ffn_up_exps.weight"]);
  });
});

describe("with statistics", () => {
  it("every expert is rounded by the Hessian of its own inputs", async () => {
    const settings: RecipeSettings = {
      format: "pack-quantized",
      parameters: W4,
      rounding: { name: "gptq" },
      statistics: "hessian",
    };
    const model = await openFolder(merged, "pack-quantized");
    const statistics = await randomStatistics({ model, path: join(folder, "statistics.safetensors") });
    const planned = await plan(model, settings, { statistics });
    const groups = planned.stages.flatMap((stage) => stage.groups);
    for (const index of [0, 7, 15]) {
      const group = groups.find(({ layers }) =>
        layers.some(({ linear }) => linear.module === `model.layers.0.mlp.experts.${index}.gate_proj`),
      )!;
      expect(group.inputs?.matrix).toBe(index);
      expect(group.layers.map(({ linear }) => linear.module).sort()).toEqual([
        `model.layers.0.mlp.experts.${index}.gate_proj`,
        `model.layers.0.mlp.experts.${index}.up_proj`,
      ]);
    }
    const apart = await goldenModel("qwen3moe", "pack-quantized");
    const other = await write(apart, settings, { statistics });
    expect(hashes(await writeCheckpoint(planned))).toEqual(hashes(other));
    await statistics.close();
  });
});

describe("stay as they are, and the plan says why,", () => {
  it.each<[RecipeSettings, "merged" | "gpt-oss", string]>([
    [
      { format: "bnb-nf4", parameters: { ...W4, tile: { rows: 1, columns: 64 }, scaleType: "F32" } },
      "merged",
      "nothing that loads bnb-nf4 takes those quantized",
    ],
    [
      { format: "gptq", parameters: { ...W4, scaleType: "F16" } },
      "gpt-oss",
      "nothing that loads gptq takes those of this architecture apart",
    ],
  ])("experts of one tensor, in %j, %s", async (settings, name, reason) => {
    const path = name === "merged" ? merged : gptOss;
    const planned = await plan(await openFolder(path, settings.format), settings);
    expect(planned.warnings).toEqual([expect.any(QuernError)]);
    expect(planned.warnings[0]).toMatchObject({
      code: "PLAN_WEIGHTS_LEFT",
      message: expect.stringContaining(reason),
    });
    expect(planned.copies.map((copy) => copy.name)).toContain("model.layers.0.mlp.experts.gate_up_proj");
  });
});

/** Checks that the folder stands for what was reported. */
async function expectErrors(
  before: LayeredModel,
  { folder: path, layers }: CheckpointReport,
  stackOf: (module: string) => { tensor: string; index: number; count: number } | undefined,
): Promise<void> {
  const after = await openFolder(path);
  let experts = 0;
  for (const { module, squaredErrors } of layers) {
    const stack = stackOf(module);
    if (stack === undefined) continue;
    experts++;
    const all = await valuesOf(after, stack.tensor);
    const size = all.length / stack.count;
    const values = all.subarray(stack.index * size, (stack.index + 1) * size);
    const weights = await valuesOf(before, `${module}.weight`);
    const found = weights.reduce((sum, weight, index) => sum + (weight - values[index]!) ** 2, 0);
    expect(found / squaredErrors, module).toBeCloseTo(1, 5);
  }
  expect(experts).toBeGreaterThan(0);
}
