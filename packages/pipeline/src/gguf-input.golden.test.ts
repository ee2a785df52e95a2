// GGUF files quantized as `llama-quantize` does; fixtures/golden/gguf-input.json has the hashes of its files.
// @module-tag kernels
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCheckpointDirectory, openGgufModel } from "@quern/checkpoints/node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { convert } from "./conversion/convert.ts";
import type { ConversionReport } from "./events.ts";
import { readImportance } from "@quern/statistics";
import type { ModelSource } from "./plan.ts";
import { planConversion } from "./planning/plan-conversion.ts";
import type { IntermediateType, OutputRequest } from "./recipe.ts";
import { goldenPath, readGolden } from "./testing/golden.ts";
import { requestOf } from "./testing/quantize-command.ts";

type Files = Readonly<Record<string, { readonly size: number; readonly sha256: string }>>;

interface GoldenInput {
  /** A checkpoint of the golden set. */
  readonly case: string;
  /** How the file to quantize was made. */
  readonly source: {
    readonly type: string;
    /** Quantized from the converter's file of this type, F32 unless said. */
    readonly from?: string;
    readonly maxTensors?: number;
    readonly firstWithoutTensors?: boolean;
  };
  readonly files: Files;
  readonly outputs: readonly {
    /** Of `llama-quantize`, without files. */
    readonly arguments: string;
    readonly files?: Files;
    readonly error?: string;
  }[];
}

const FLOATS = ["F32", "F16", "BF16"];

async function filesIn(folder: string): Promise<Files> {
  const names = (await readdir(folder)).sort();
  const files = names.map(async (name) => {
    const path = join(folder, name);
    const sha256 = createHash("sha256")
      .update(await readFile(path))
      .digest("hex");
    return [name, { size: (await stat(path)).size, sha256 }] as const;
  });
  return Object.fromEntries(await Promise.all(files));
}

/** Makes the file to quantize: our converter equals the reference, which the hashes confirm. */
async function makeSource({ case: name, source }: GoldenInput, folder: string): Promise<string> {
  const { type, from, maxTensors, firstWithoutTensors } = source;
  const byConverter = FLOATS.includes(type) || (type === "Q8_0" && from === undefined);
  const plan = await planConversion({
    checkpoint: await openCheckpointDirectory(goldenPath(name, "checkpoint")),
    outputs: [
      {
        type,
        path: join(folder, "model.gguf"),
        ...(byConverter
          ? { flavour: "converter" }
          : { flavour: "quantizer", intermediate: (from ?? "F32") as IntermediateType }),
        ...(maxTensors === undefined
          ? {}
          : { split: { maxTensors, firstWithoutTensors: firstWithoutTensors === true } }),
      },
    ],
    threads: 0,
  });
  await convert(plan);
  return plan.outputs[0]!.files[0]!.path;
}

const inputs = readGolden<GoldenInput[]>("gguf-input.json");

describe.each(inputs)("$case, $source", (input) => {
  let folder: string;
  let source: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "gguf-input-"));
    source = await makeSource(input, join(folder, "source"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  /** @param more Beside what the command line says. */
  async function quantize(
    command: string,
    checkpoint: ModelSource,
    more: Partial<OutputRequest> = {},
  ): Promise<ConversionReport> {
    const weights = goldenPath(input.case, "imatrix.gguf");
    const importance = command.includes("--imatrix")
      ? { importance: { ...(await readImportance(weights)), file: "imatrix.gguf" } }
      : {};
    await rm(join(folder, "output"), { recursive: true, force: true });
    const path = join(folder, "output", "out.gguf");
    const outputs = [{ ...requestOf(command), ...more, path }];
    return convert(await planConversion({ checkpoint, outputs, ...importance, threads: 0 }));
  }

  async function expectFiles(
    files: Files | undefined,
    run: () => Promise<ConversionReport>,
  ): Promise<ConversionReport> {
    const report = await run();
    expect(await filesIn(join(folder, "output"))).toEqual(files);
    return report;
  }

  it("is the file that was quantized", async () => {
    expect(await filesIn(join(folder, "source"))).toEqual(input.files);
  });

  const written = input.outputs.filter(({ error }) => error === undefined);

  it.each(written)("$arguments", async ({ arguments: command, files }) => {
    const report = await expectFiles(files, async () => quantize(command, await openGgufModel(source)));
    const isMeasured = report.outputs[0]!.errors !== undefined;
    expect(isMeasured).toBe(command.includes("--allow-requantize"));
  });

  it.each(input.outputs.filter(({ error }) => error !== undefined))(
    "$arguments is refused",
    async ({ arguments: command, error }) => {
      expect(error).toMatch(/^requantizing from type \w+ is disabled$/);
      const model = await openGgufModel(source);
      await expect(quantize(command, model)).rejects.toMatchObject({ code: "MIXTURE_REQUANTIZES" });
    },
  );

  const { type, maxTensors } = input.source;
  if (!FLOATS.includes(type) || maxTensors !== undefined) return;
  it.each(written)("$arguments, in one step from the checkpoint", async ({ arguments: command, files }) => {
    const checkpoint = await openCheckpointDirectory(goldenPath(input.case, "checkpoint"));
    const more = { flavour: "quantizer", intermediate: type as IntermediateType } as const;
    const report = await expectFiles(files, () => quantize(command, checkpoint, more));
    expect(report.outputs).toHaveLength(1);
  });
});
