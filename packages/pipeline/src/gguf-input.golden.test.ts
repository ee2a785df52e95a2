// GGUF files quantized as `llama-quantize` does; fixtures/golden/gguf-input.json has the hashes of its files.
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCheckpointDirectory, openGgufModel } from "@quern/checkpoints/node";
import { isGgmlType } from "@quern/gguf";
import { loadKernels } from "@quern/kernels";
import { QuernError } from "@quern/tensor";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { convert } from "./conversion/convert.ts";
import type { ConversionReport } from "./events.ts";
import { readImportance } from "./importance/read-importance.ts";
import { planConversion } from "./planning/plan-conversion.ts";
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

const kernels = await loadKernels();
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
          : { flavour: "quantizer", intermediate: (from ?? "F32") as "F32" }),
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

const inputs = readGolden<GoldenInput[]>("gguf-input.json").filter(
  ({ source }) => FLOATS.includes(source.type) || kernels.types.includes(kernelType(source.type)),
);

/** ggml type that a recipe has most of. */
function kernelType(recipe: string): string {
  return recipe.replace(/_[SML]$/, "");
}

/** Whether it was refused for a type that these kernels do not have. */
function isBeyondKernels(error: unknown): boolean {
  if (!(error instanceof QuernError)) return false;
  const [, type = ""] = / (?:needs|is) (\w+) /.exec(error.message) ?? [];
  const codes = ["RECIPE_UNSUPPORTED", "TENSOR_TYPE_UNSUPPORTED"];
  return codes.includes(error.code) && isGgmlType(type) && !kernels.types.includes(type);
}

describe.each(inputs)("$case, $source", (input) => {
  let folder: string;
  let source: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "gguf-input-"));
    source = await makeSource(input, join(folder, "source"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function quantize(command: string): Promise<ConversionReport> {
    const imatrix = command.includes("--imatrix")
      ? {
          importance: {
            ...(await readImportance(goldenPath(input.case, "imatrix.gguf"))),
            file: "imatrix.gguf",
          },
        }
      : {};
    const output = { ...requestOf(command), path: join(folder, "output", "out.gguf") };
    await rm(join(folder, "output"), { recursive: true, force: true });
    const checkpoint = await openGgufModel(source);
    return convert(await planConversion({ checkpoint, outputs: [output], ...imatrix, threads: 0 }));
  }

  it("is the file that was quantized", async () => {
    expect(await filesIn(join(folder, "source"))).toEqual(input.files);
  });

  it.each(input.outputs.filter(({ error }) => error === undefined))(
    "$arguments",
    async ({ arguments: command, files }) => {
      let report: ConversionReport;
      try {
        report = await quantize(command);
      } catch (error) {
        if (!isBeyondKernels(error)) throw error;
        return;
      }
      expect(await filesIn(join(folder, "output"))).toEqual(files);
      const isRequantized = command.includes("--allow-requantize");
      expect(report.outputs[0]!.requantized !== undefined).toBe(isRequantized);
    },
  );

  it.each(input.outputs.filter(({ error }) => error !== undefined))(
    "$arguments is refused",
    async ({ arguments: command, error }) => {
      expect(error).toMatch(/^requantizing from type \w+ is disabled$/);
      await expect(quantize(command)).rejects.toMatchObject({ code: "MIXTURE_REQUANTIZES" });
    },
  );
});
