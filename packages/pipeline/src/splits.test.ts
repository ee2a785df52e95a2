// Outputs of several files, compared with what llama-gguf-split and llama-quantize --keep-split make (fixtures/golden).
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { openCheckpointDirectory } from "@quern/checkpoints/node";
import { type GgufDivision, planGgufSplits } from "@quern/gguf";
import { copyGguf, openGgufSet, planGgufFileMerge, planGgufFileSplit } from "@quern/gguf/node";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { convert } from "./conversion/convert.ts";
import type { ConversionEvent } from "./events.ts";
import type { PlanParams } from "./plan.ts";
import { planConversion } from "./planning/plan-conversion.ts";
import type { OutputRequest } from "./recipe.ts";
import { goldenPath, readGolden } from "./testing/golden.ts";

interface GoldenFileOfSet {
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
}

interface GoldenSplit {
  readonly files: readonly GoldenFileOfSet[];
  readonly merged: Omit<GoldenFileOfSet, "name">;
}

interface GoldenKeptSplit {
  readonly files: ReadonlyArray<
    GoldenFileOfSet & {
      readonly header_sha256: string;
      readonly tensors: ReadonlyArray<readonly [name: string, type: string]>;
    }
  >;
}

const root = await mkdtemp(join(tmpdir(), "splits-"));
afterAll(() => rm(root, { recursive: true }));
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(root, "test-"));
});

async function plan(outputs: readonly OutputRequest[], rest: Partial<PlanParams> = {}) {
  const checkpoint = await openCheckpointDirectory(goldenPath("qwen3", "checkpoint"));
  return planConversion({ checkpoint, outputs, directory: folder, threads: 0, ...rest });
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function describeFile(path: string): Promise<GoldenFileOfSet> {
  const bytes = await readFile(path);
  return { name: basename(path), size: bytes.byteLength, sha256: sha256(bytes) };
}

/** Hashes of the data of all tensors of a file or set. */
async function tensorHashes(path: string): Promise<Map<string, string>> {
  const set = await openGgufSet({ path });
  const hashes = new Map<string, string>();
  for (const name of set.tensors.keys()) hashes.set(name, sha256(await set.readTensor(name)));
  await set.close();
  return hashes;
}

const limits: ReadonlyArray<readonly [name: string, division: GgufDivision]> = [
  ["max-tensors-7", { maxTensors: 7 }],
  ["max-tensors-7-no-tensor-first-split", { maxTensors: 7, firstWithoutTensors: true }],
  ["max-size-1M", { maxBytes: 1e6 }],
  ["max-size-1M-no-tensor-first-split", { maxBytes: 1e6, firstWithoutTensors: true }],
  ["one-file", { maxTensors: 1000 }],
];

describe.each(limits)("%s", (name, division) => {
  const golden = readGolden<GoldenSplit>("qwen3", "expected", "split", `${name}.json`);

  it.each([0, 2])("is written in one pass with %i workers as llama-gguf-split divides", async (threads) => {
    await convert(
      await plan([{ type: "F32", split: division, path: join(folder, "f32.gguf") }], { threads }),
    );
    const names = (await readdir(folder)).sort();
    expect(await Promise.all(names.map((file) => describeFile(join(folder, file))))).toEqual(golden.files);
  });

  it("is what a finished file is divided into, and merges again", async () => {
    const whole = join(folder, "f32.gguf");
    await convert(await plan([{ type: "F32", path: whole }]));
    const { files } = await copyGguf(await planGgufFileSplit({ path: whole, division }));
    expect(await Promise.all(files.map(({ path }) => describeFile(path)))).toEqual(golden.files);

    const first = files[0]!.path;
    const merged = join(folder, "merged.gguf");
    await copyGguf(await planGgufFileMerge({ path: first, output: merged }));
    expect(await describeFile(merged)).toEqual({ name: "merged.gguf", ...golden.merged });
    await copyGguf(
      await planGgufFileMerge({ path: first, output: merged, dropSplitKeys: true, force: true }),
    );
    expect((await describeFile(merged)).sha256).toBe((await describeFile(whole)).sha256);
  });
});

describe("files that are given", () => {
  const request = { type: "Q8_0", flavour: "quantizer", intermediate: "F32" } as const;

  it.each(["keep-split", "keep-split-one-file"])("have the headers of llama-quantize: %s", async (name) => {
    const golden = readGolden<GoldenKeptSplit>("qwen3", "expected", "keep-split", `${name}.json`);
    const [output] = (await plan([request])).outputs;
    const planned = new Map(output!.tensors.map((tensor) => [tensor.name, tensor]));
    const fileOf = new Map(
      golden.files.flatMap(({ tensors }, file) => tensors.map(([tensor]) => [tensor, file] as const)),
    );
    const layouts = planGgufSplits({
      metadata: output!.files[0]!.layout.metadata,
      tensors: [...fileOf.keys()].map((tensor) => planned.get(tensor)!),
      division: { fileOf },
    });
    expect(layouts.map(({ header, fileSize }) => [sha256(header), fileSize])).toEqual(
      golden.files.map(({ header_sha256, size }) => [header_sha256, size]),
    );
  });

  it("get the tensors that belong to them, with the data of a single file", async () => {
    const [single] = (await plan([request])).outputs;
    const fileOf = new Map(single!.tensors.map(({ name }, index) => [name, (index * 7) % 3]));
    const planned = await plan([
      { ...request, path: join(folder, "single.gguf") },
      { ...request, path: join(folder, "three"), split: { fileOf } },
    ]);
    const { outputs } = await convert(planned);
    expect(outputs[1]!.files.map(({ path }) => basename(path))).toEqual([
      "three-00001-of-00003.gguf",
      "three-00002-of-00003.gguf",
      "three-00003-of-00003.gguf",
    ]);
    const set = await openGgufSet({ path: outputs[1]!.files[1]!.path });
    await set.close();
    expect(new Map([...set.tensors.values()].map(({ name, file }) => [name, file]))).toEqual(fileOf);
    const hashes = await tensorHashes(outputs[0]!.files[0]!.path);
    expect(await tensorHashes(outputs[1]!.files[0]!.path)).toEqual(hashes);
  });

  it("must be given for every tensor", async () => {
    const planning = plan([{ ...request, split: { fileOf: new Map([["output_norm.weight", 0]]) } }]);
    await expect(planning).rejects.toMatchObject({ code: "GGUF_SPLIT_INVALID" });
  });
});

describe("the plan of a split output", () => {
  const request: OutputRequest = { type: "F32", split: { maxTensors: 7 } };

  it("lists all files, and events and report tell of them as one output", async () => {
    const planned = await plan([request, { type: "F16" }]);
    const [output] = planned.outputs;
    expect(output!.files.map(({ path }) => basename(path))).toEqual(
      [1, 2, 3, 4].map((part) => `Checkpoint-854K-F32-0000${part}-of-00004.gguf`),
    );
    expect(output!.fileSize).toBe(output!.files.reduce((sum, { fileSize }) => sum + fileSize, 0));
    expect(output!.tensors.map(({ file }) => file)).toEqual(
      Array.from({ length: 24 }, (_, index) => Math.floor(index / 7)),
    );
    const events: ConversionEvent[] = [];
    const report = await convert(planned, { onEvent: (event) => events.push(event) });
    const paths = output!.files.map(({ path }) => path);
    const done = events.filter((event) => event.type === "output:done");
    expect(done).toEqual([
      { type: "output:done", files: paths, bytes: output!.fileSize },
      expect.objectContaining({ files: [planned.outputs[1]!.files[0]!.path] }),
    ]);
    expect(report.outputs[0]).toMatchObject({
      type: "F32",
      files: output!.files.map(({ path, fileSize: bytes }) => ({ path, bytes })),
      bytes: output!.fileSize,
    });
  });

  it("refuses when any of its files exists, replaces all when forced", async () => {
    const taken = join(folder, "Checkpoint-854K-F32-00003-of-00004.gguf");
    await writeFile(taken, "old");
    await expect(plan([request])).rejects.toMatchObject({ code: "OUTPUT_EXISTS", subject: { file: taken } });
    const planned = await plan([request], { force: true });
    expect(planned.outputs[0]!.files.map(({ replaces }) => replaces)).toEqual([false, false, true, false]);
    await convert(planned);
    expect((await tensorHashes(taken)).size).toBe(24);
  });

  it("warns of files of another division, and leaves them alone", async () => {
    const stray = "Checkpoint-854K-F32-00001-of-00009.gguf";
    await writeFile(join(folder, stray), "old");
    await writeFile(join(folder, "Other-00001-of-00009.gguf"), "old");
    const planned = await plan([request]);
    expect(planned.warnings).toMatchObject([{ code: "OUTPUT_STRAY_SPLITS", subject: { file: stray } }]);
    expect((await plan([{ type: "F32" }])).warnings).toEqual([]);
    await convert(planned);
    expect(await readFile(join(folder, stray), "utf8")).toBe("old");
  });

  it("refuses limits that make no sense", async () => {
    for (const split of [{ maxTensors: 0 }, { maxBytes: -1 }]) {
      await expect(plan([{ type: "F32", split }])).rejects.toMatchObject({ code: "GGUF_SPLIT_INVALID" });
    }
  });

  it("gives no file of a set its name when one comes in the way at the end, or the run is stopped", async () => {
    const planned = await plan([request]);
    const taken = planned.outputs[0]!.files[1]!.path;
    const running = convert(planned, {
      onEvent: (event) => {
        if (event.type === "start") void mkdir(taken);
      },
    });
    await expect(running).rejects.toMatchObject({ subject: { file: taken } });
    expect((await readdir(folder)).filter((name) => name.endsWith(".gguf"))).toEqual([basename(taken)]);

    await rm(taken, { recursive: true });
    const stop = new AbortController();
    const stopped = convert(planned, { signal: stop.signal, onEvent: () => stop.abort(new Error("enough")) });
    await expect(stopped).rejects.toThrow("enough");
    expect((await readdir(folder)).filter((name) => name.endsWith(".gguf"))).toEqual([]);

    await convert(planned);
    expect((await readdir(folder)).sort()).toEqual(
      planned.outputs[0]!.files.map(({ path }) => basename(path)),
    );
  });
});
