import { cp, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCheckpointDirectory, openModel } from "@quern/checkpoints/node";
import { ggufArray, ggufFloat32, ggufString, ggufUint64, type GgufValue } from "@quern/gguf";
import type { Manifest, ManifestTensor } from "@quern/manifest";
import { readManifest } from "@quern/manifest/node";
import { type Importance, readImportance, type Statistics } from "@quern/statistics";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { convert } from "../conversion/convert.ts";
import { goldenModel } from "../layers/testing/checkpoints.ts";
import { randomStatistics } from "../layers/testing/random-statistics.ts";
import type { ModelSource, PlanParams } from "../plan.ts";
import { planConversion } from "../planning/plan-conversion.ts";
import { writeManifests } from "../provenance/write-manifests.ts";
import type { OutputRequest } from "../recipe.ts";
import { withFlippedByte } from "../testing/flip-byte.ts";
import { goldenPath } from "../testing/golden.ts";
import type { Finding } from "./finding.ts";
import type { RederiveParams } from "./rederivation.ts";
import { rederive } from "./rederive.ts";
import { verifyFiles } from "./verify-files.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "verify-gguf-"));
});
afterAll(() => rm(folder, { recursive: true }));

const TOOL = { name: "tests", version: "1.2.3" };
let runs = 0;

interface Made {
  readonly folder: string;
  readonly manifest: Manifest;
  readonly source: ModelSource;
}

/** Converts a model and gives the manifest of the result. */
async function make(
  source: ModelSource,
  request: OutputRequest,
  params: Partial<PlanParams> = {},
): Promise<Made> {
  const directory = join(folder, `made-${runs++}`);
  const plan = await planConversion({
    checkpoint: source,
    outputs: [{ ...request, path: join(directory, "model.gguf") }],
    threads: 0,
    provenance: { tool: TOOL },
    ...params,
  });
  const report = await convert(plan);
  const [path] = await writeManifests({ plan, report });
  return { folder: directory, manifest: await readManifest(path!), source };
}

function openGolden(name: string): Promise<ModelSource> {
  return openCheckpointDirectory(goldenPath(name, "checkpoint"));
}

function again(made: Made, more: Partial<RederiveParams> = {}): ReturnType<typeof rederive> {
  return rederive({ ...made, threads: 0, sample: "all", ...more });
}

/** Where a byte lies. */
function partAt({ tensors, files }: Manifest, file: number, offset: number): Partial<Finding> {
  if (offset < files[file]!.header!.bytes) return { kind: "header", offset: 0 };
  const tensor = tensors.find(
    (one) => one.file === file && offset >= one.offset && offset < one.offset + one.bytes,
  );
  return tensor === undefined
    ? { kind: "padding", offset }
    : { kind: "tensor", tensor: tensor.name, offset: tensor.offset };
}

describe("verified GGUF files", () => {
  let single: Made;
  let split: Made;
  let importance: Importance;
  beforeAll(async () => {
    importance = await readImportance(goldenPath("mixtral", "imatrix.gguf"), { name: "imatrix.gguf" });
    single = await make(await openGolden("llama2-spm"), { type: "Q5_K_M" });
    split = await make(
      await openGolden("mixtral"),
      { type: "Q4_K_M", split: { maxTensors: 12, firstWithoutTensors: true } },
      {
        importance,
        provenance: { tool: TOOL, calibration: { kind: "importance", file: "imatrix.gguf" } },
      },
    );
  });

  it("are what their manifest says, and what the source becomes", async () => {
    for (const made of [single, split]) {
      const files = await verifyFiles(made);
      expect(files).toMatchObject({ findings: [], tensors: made.manifest.tensors.length });
      expect(files.bytes).toBe(made.manifest.files.reduce((sum, { bytes }) => sum + bytes, 0));
      const result = await again(made, made === split ? { importance } : {});
      expect(result).toMatchObject({ findings: [], headers: true });
      expect(result.tensors).toEqual(made.manifest.tensors.map(({ name }) => name));
    }
    expect(split.manifest.files.length).toBeGreaterThan(2);
  });

  it("do not hide a changed byte, wherever it is", async () => {
    const cases = fc
      .tuple(
        fc.constantFrom(single, split),
        fc.nat(),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      )
      .map(([made, number, place]) => {
        const file = number % made.manifest.files.length;
        return { made, file, offset: Math.floor(place * made.manifest.files[file]!.bytes) };
      });
    await fc.assert(
      fc.asyncProperty(cases, fc.integer({ min: 1, max: 255 }), async ({ made, file, offset }, mask) => {
        const { name } = made.manifest.files[file]!;
        await withFlippedByte({ path: join(made.folder, name), offset, mask }, async () => {
          const { findings } = await verifyFiles(made);
          expect(findings).toContainEqual(
            expect.objectContaining({ file: name, ...partAt(made.manifest, file, offset) }),
          );
        });
      }),
      { numRuns: 60 },
    );
  });

  it("do not hide a changed byte of the header or of padding", async () => {
    const { manifest } = single;
    const { header, name } = manifest.files[0]!;
    const padding = manifest.tensors.flatMap(({ offset, bytes }, index) => {
      const next = manifest.tensors[index + 1]?.offset ?? manifest.files[0]!.bytes;
      return next > offset + bytes ? [offset + bytes] : [];
    });
    for (const offset of [0, 4, 8, 16, 24, header!.bytes - 1, ...padding]) {
      await withFlippedByte({ path: join(single.folder, name), offset, mask: 0x10 }, async () => {
        const { findings } = await verifyFiles(single);
        expect(findings).toContainEqual(expect.objectContaining(partAt(manifest, 0, offset)));
      });
    }
  });

  it("differ from what the source becomes at the byte that was changed", async () => {
    const place = fc.tuple(fc.nat(), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }));
    await fc.assert(
      fc.asyncProperty(place, async ([number, share]) => {
        const { tensors, files } = split.manifest;
        const tensor = tensors[number % tensors.length]!;
        const offset = tensor.offset + Math.floor(share * tensor.bytes);
        const { name: file } = files[tensor.file]!;
        await withFlippedByte({ path: join(split.folder, file), offset, mask: 1 }, async () => {
          const { findings } = await again(split, { importance });
          expect(findings).toEqual([
            { kind: "tensor", file, tensor: tensor.name, offset, message: expect.any(String) as string },
          ]);
        });
      }),
      { numRuns: 10 },
    );
    const { name: file } = split.manifest.files[0]!;
    await withFlippedByte({ path: join(split.folder, file), offset: 40, mask: 1 }, async () => {
      const { findings } = await again(split, { importance, sample: 1 });
      expect(findings).toContainEqual(expect.objectContaining({ kind: "header", file, offset: 40 }));
    });
  });

  it("are missed, and found too short or too long", async () => {
    const copied = { ...split, folder: join(folder, "damaged") };
    await cp(split.folder, copied.folder, { recursive: true });
    const [first, second, third] = split.manifest.files.map(({ name }) => name) as [string, string, string];
    await rm(join(copied.folder, first));
    await truncate(join(copied.folder, second), split.manifest.files[1]!.bytes - 1);
    await writeFile(join(copied.folder, third), "x", { flag: "a" });
    const { findings } = await verifyFiles(copied);
    expect(findings).toEqual(
      expect.arrayContaining(
        [first, second, third].map((file) => expect.objectContaining({ kind: "file", file })),
      ),
    );
    const tensors = split.manifest.tensors.filter(({ file }) => file === 1);
    const result = await again(copied, { importance });
    expect(result.findings).toContainEqual(
      expect.objectContaining({ kind: "tensor", tensor: tensors.at(-1)!.name }),
    );
  });

  it("are told from those of another conversion", async () => {
    const other = await make(await openGolden("llama2-spm"), { type: "Q5_K_M", pure: true });
    const { findings } = await verifyFiles({ manifest: single.manifest, folder: other.folder });
    expect(findings).toContainEqual(
      expect.objectContaining({
        kind: "structure",
        message: expect.stringContaining("quern.recipe.sha256") as string,
      }),
    );
  });

  it("are told from what another source becomes", async () => {
    const changed = join(folder, "llama2-spm", "checkpoint");
    await cp(goldenPath("llama2-spm", "checkpoint"), changed, { recursive: true });
    const weights = (await readdir(changed)).find((name) => name.endsWith(".safetensors"))!;
    const path = join(changed, weights);
    const { length } = await readFile(path);
    const source = await openCheckpointDirectory(changed);
    await withFlippedByte({ path, offset: length - 2, mask: 0x20 }, async () => {
      const { findings } = await again({ ...single, source });
      expect(findings).toEqual([expect.objectContaining({ kind: "tensor" })]);
    });
    const other = await openGolden("mixtral");
    const { findings } = await again({ ...single, source: other });
    expect(new Set(findings.map(({ kind }) => kind))).toEqual(new Set(["source", "header", "tensor"]));
  });

  it("are what a copy of the source in a folder of another name becomes", async () => {
    const copy = join(folder, "copied-under-another-name");
    await cp(goldenPath("llama2-spm", "checkpoint"), copy, { recursive: true });
    expect(await again({ ...single, source: await openCheckpointDirectory(copy) })).toMatchObject({
      findings: [],
      headers: true,
    });
  });

  it("are told from a manifest with a changed hash, though the hash of the file is right", async () => {
    const { manifest } = single;
    const [changed, ...others] = manifest.tensors;
    const tensors = [{ ...changed!, sha256: "0".repeat(64) }, ...others];
    const { findings } = await verifyFiles({ ...single, manifest: { ...manifest, tensors } });
    expect(findings).toEqual([expect.objectContaining({ kind: "tensor", tensor: changed!.name })]);
    const [file] = manifest.files;
    const files = [{ ...file!, header: { ...file!.header!, sha256: "0".repeat(64) } }];
    const of = await verifyFiles({ ...single, manifest: { ...manifest, files } });
    expect(of.findings).toEqual([expect.objectContaining({ kind: "header" })]);
  });

  it("say nothing of what importance has done, where that is not given", async () => {
    const { findings, headers, tensors, others } = await again(split);
    expect(findings).toEqual([]);
    expect(headers).toContain("imatrix.gguf");
    expect(tensors.length + others!.tensors).toBe(split.manifest.tensors.length);
    const floats = split.manifest.tensors.filter(({ type }) => type === "F32" || type === "F16");
    expect(tensors).toEqual(floats.map(({ name }) => name));
  });

  it("are sampled: the same for a seed, of all types", async () => {
    const types = new Map(split.manifest.tensors.map(({ name, type }) => [name, type]));
    const sample = async (seed: number): Promise<readonly string[]> => {
      const { tensors, findings } = await again(split, { importance, sample: 8, seed });
      expect(findings).toEqual([]);
      expect(tensors).toHaveLength(8);
      return tensors;
    };
    const first = await sample(0);
    expect(await sample(0)).toEqual(first);
    expect(await sample(7)).not.toEqual(first);
    expect(new Set(first.map((name) => types.get(name)))).toEqual(new Set(types.values()));
  });

  it("are the same with threads and with little memory, and so is the manifest", async () => {
    const source = await openGolden("llama2-spm");
    const other = await make(source, { type: "Q5_K_M" }, { threads: 2, memory: 2 ** 20 });
    expect(other.manifest).toEqual(single.manifest);
    const result = await again(single, { threads: 2, memory: 2 ** 20 });
    expect(result.findings).toEqual([]);
    expect(result.tensors).toHaveLength(single.manifest.tensors.length);
  });

  it("say what was asked for, and no place", async () => {
    const { manifest, folder: made } = await make(
      await openModel(join(single.folder, "model.gguf")),
      {
        type: "Q4_0",
        pure: true,
        allowRequantize: true,
        leaveOutputTensor: true,
        tokenEmbeddingType: "Q8_0",
        tensorTypes: [{ pattern: "ffn_down", type: "Q5_1" }],
        pruneLayers: [1],
        metadata: new Map<string, GgufValue>([
          ["general.name", ggufString("Other")],
          ["some.number", ggufUint64(2n ** 63n)],
          ["some.nothing", ggufFloat32(Number.NaN)],
          ["some.list", ggufArray("int64", [1n, -1n])],
          ["some.texts", ggufArray("string", ["a", "7"])],
        ]),
      },
      { measureErrors: true },
    );
    expect(JSON.stringify(manifest)).not.toContain(folder);
    expect(manifest.source).toMatchObject({ kind: "gguf", name: "model.gguf" });
    const measured = manifest.tensors.filter(({ error }) => error !== undefined);
    expect(measured.every((tensor: ManifestTensor) => tensor.error! >= 0 && tensor.error! < 0.5)).toBe(true);
    expect(measured.length).toBeGreaterThan(0);
    const source = await openModel(join(single.folder, "model.gguf"));
    expect(await again({ manifest, folder: made, source })).toMatchObject({ findings: [], headers: true });
  });

  it("that were rounded by inputs are made again with the statistics", async () => {
    const model = await goldenModel("llama2-spm");
    const path = join(folder, "statistics.safetensors");
    const statistics: Statistics = await randomStatistics({ model, path, tokens: 640 });
    const weights = await readImportance(path, { name: "statistics.safetensors" });
    try {
      const made = await make(
        model.checkpoint,
        { type: "Q4_K_M" },
        {
          importance: weights,
          rounding: { method: { name: "gptq" }, transforms: [{ name: "smooth-quant" }], statistics },
          provenance: { tool: TOOL, calibration: { kind: "statistics", file: "statistics.safetensors" } },
        },
      );
      expect(made.manifest.kernels).toBeDefined();
      const known = { importance: weights, statistics };
      expect(await again(made, known)).toMatchObject({ findings: [], headers: true });
      const rounded = made.manifest.tensors.find(({ name }) => name === "blk.1.attn_k.weight")!;
      const offset = rounded.offset + rounded.bytes - 1;
      await withFlippedByte({ path: join(made.folder, "model.gguf"), offset, mask: 4 }, async () => {
        const { findings } = await again(made, known);
        expect(findings).toEqual([expect.objectContaining({ tensor: rounded.name, offset })]);
      });
      expect(await again(made)).toMatchObject({ findings: [], tensors: [] });
    } finally {
      await statistics.close();
    }
  });
});
