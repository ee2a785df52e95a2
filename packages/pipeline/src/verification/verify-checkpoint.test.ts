import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openModel } from "@quern/checkpoints/node";
import type { JsonObject, Manifest } from "@quern/manifest";
import { readManifest } from "@quern/manifest/node";
import { presetNamed, resolveRecipe } from "@quern/recipes";
import type { Statistics } from "@quern/statistics";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { convert } from "../conversion/convert.ts";
import type { LayeredModel } from "../layers/linear-layers.ts";
import { planCheckpoint } from "../layers/planning/plan-checkpoint.ts";
import { writeCheckpoint } from "../layers/running/write-checkpoint.ts";
import { openFolder } from "../layers/testing/checkpoints.ts";
import { randomStatistics } from "../layers/testing/random-statistics.ts";
import { planConversion } from "../planning/plan-conversion.ts";
import { withFlippedByte } from "../testing/flip-byte.ts";
import type { RederiveParams } from "./rederivation.ts";
import { rederive } from "./rederive.ts";
import { verifyFiles } from "./verify-files.ts";

const example = fileURLToPath(new URL("../../../../examples/quern-demo", import.meta.url));

let folder: string;
let model: LayeredModel;
let statistics: Statistics;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "verify-checkpoint-"));
  model = await openFolder(example);
  statistics = await randomStatistics({ model, path: join(folder, "statistics.safetensors") });
});
afterAll(async () => {
  await statistics.close();
  await rm(folder, { recursive: true });
});

let made = 0;

interface Made {
  readonly folder: string;
  readonly manifest: Manifest;
}

/** Writes a checkpoint by a preset. */
async function make(preset: string, options: { known?: boolean; maxShardSize?: number } = {}): Promise<Made> {
  const { known = false, maxShardSize } = options;
  const recipe = presetNamed(preset);
  const output = join(folder, `${preset}-${made++}`);
  const plan = await planCheckpoint({
    model,
    recipe: resolveRecipe(recipe, model.linears),
    recipeName: preset,
    output,
    threads: 0,
    tool: "tests 1.2.3",
    provenance: {
      tool: { name: "tests", version: "1.2.3" },
      recipe: recipe as unknown as JsonObject,
      ...(known && { calibration: { kind: "statistics", file: "statistics.safetensors" } }),
    },
    ...(known && { statistics }),
    ...(maxShardSize === undefined ? {} : { maxShardSize }),
  });
  const { files } = await writeCheckpoint(plan);
  expect(files.map(({ name }) => name)).toContain("quern-manifest.json");
  return { folder: output, manifest: await readManifest(join(output, "quern-manifest.json")) };
}

function again(made: Made, more: Partial<RederiveParams> = {}): ReturnType<typeof rederive> {
  return rederive({ ...made, source: model.checkpoint, threads: 0, sample: "all", ...more });
}

describe("verified folders", () => {
  it.each([
    ["mlx-q4", { maxShardSize: 1e6 }],
    ["bnb-nf4", {}],
    ["nvfp4", {}],
    ["gptq-w4-g128", { known: true }],
    ["w8a8-smoothquant", { known: true }],
  ])("of %s are what their manifest says, and what the source becomes", async (preset, options) => {
    const made = await make(preset, options);
    const { manifest } = made;
    expect(await verifyFiles(made)).toMatchObject({ findings: [], tensors: manifest.tensors.length });
    const known = "known" in options ? { statistics } : {};
    const result = await again(made, known);
    expect(result).toMatchObject({ findings: [], headers: true });
    expect(result.tensors).toHaveLength(manifest.tensors.length);
    const names = manifest.files.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(["config.json", "tokenizer.json"]));
    expect(names).not.toContain("README.md");
    expect(JSON.stringify(manifest)).not.toContain(folder);
  });

  it.each([
    ["mlx-q4", {}],
    ["gptq-w4-g128", { known: true }],
  ])("of %s differ from what the source becomes at the byte that was changed", async (preset, options) => {
    const made = await make(preset, { ...options, maxShardSize: 2e6 });
    const { manifest } = made;
    const known = "known" in options ? { statistics } : {};
    const tensor = manifest.tensors.at(-3)!;
    const { name: file } = manifest.files[tensor.file]!;
    const offset = tensor.offset + tensor.bytes - 1;
    await withFlippedByte({ path: join(made.folder, file), offset, mask: 1 }, async () => {
      const { findings } = await again(made, known);
      expect(findings).toEqual([
        expect.objectContaining({ kind: "tensor", file, tensor: tensor.name, offset }),
      ]);
    });
  });

  it("do not hide a changed byte, wherever it is", async () => {
    const made = await make("mlx-q4", { maxShardSize: 2e6 });
    const { files, tensors } = made.manifest;
    expect(files.filter(({ header }) => header !== undefined).length).toBeGreaterThan(1);
    const place = fc.tuple(fc.nat(), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }));
    await fc.assert(
      fc.asyncProperty(place, fc.integer({ min: 1, max: 255 }), async ([number, share], mask) => {
        const file = number % files.length;
        const { name, bytes, header } = files[file]!;
        const offset = Math.floor(share * bytes);
        await withFlippedByte({ path: join(made.folder, name), offset, mask }, async () => {
          const { findings } = await verifyFiles(made);
          const tensor = tensors.find(
            (one) => one.file === file && offset >= one.offset && offset < one.offset + one.bytes,
          );
          const kind = header === undefined ? "content" : tensor === undefined ? "header" : "tensor";
          expect(findings).toContainEqual(
            expect.objectContaining({ kind, file: name, ...(tensor && { tensor: tensor.name }) }),
          );
        });
      }),
      { numRuns: 60 },
    );
    const path = join(made.folder, "config.json");
    const { length } = await readFile(path);
    await withFlippedByte({ path, offset: length - 3, mask: 1 }, async () => {
      const { findings } = await again(made, { sample: 1 });
      expect(findings).toEqual([
        expect.objectContaining({ kind: "content", file: "config.json", offset: length - 3 }),
      ]);
    });
  });

  it("say of what they were made, in every file of weights", async () => {
    const { folder: made, manifest } = await make("bnb-fp4", { maxShardSize: 3e6 });
    for (const { name, header } of manifest.files) {
      if (header === undefined) continue;
      const text = (await readFile(join(made, name))).subarray(8, header.bytes).toString();
      expect(JSON.parse(text)).toMatchObject({
        __metadata__: { format: "pt", "quern.source": "quern-demo", "quern.recipe": "bnb-fp4" },
      });
    }
  });

  it("say that nothing can be made again without the statistics", async () => {
    const made = await make("gptq-w8-g128", { known: true });
    const { findings, tensors, headers, others } = await again(made);
    expect({ findings, tensors }).toEqual({ findings: [], tensors: [] });
    expect(headers).toContain("without the statistics");
    expect(others!.tensors).toBe(made.manifest.tensors.length);
  });

  it("refuse GGUF as what they were made of", async () => {
    const made = await make("mlx-q8");
    const path = join(folder, "model.gguf");
    await convert(
      await planConversion({ checkpoint: model.checkpoint, outputs: [{ type: "Q8_0", path }], threads: 0 }),
    );
    const refused = again(made, { source: await openModel(path) });
    await expect(refused).rejects.toMatchObject({ code: "VERIFICATION_SOURCE" });
  });
});
