// @module-tag kernels

import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openGgufModel } from "@quern/checkpoints/node";
import { beforeAll, describe, expect, it } from "vitest";
import { demoCheckpoint, runCli, temporaryFolder } from "../testing/run-cli.ts";

const fast = ["-j", "0"];
const few = ["--tokens", "1024", "--data", join(demoCheckpoint, "tokenizer.json")];

/** Statistics of the example model, made once. */
let statistics: string;

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), "quern-"));
  statistics = join(folder, "statistics.safetensors");
  await runCli({
    argv: [
      "calibrate",
      demoCheckpoint,
      "--tokens",
      "4096",
      "--window",
      "128",
      "-o",
      statistics,
      ...fast,
      "-q",
    ],
  });
  return () => rm(folder, { recursive: true });
});

interface Report {
  readonly conversion: {
    readonly outputs: readonly {
      readonly tensors: readonly {
        readonly name: string;
        readonly rounding?: {
          readonly kept: number;
          readonly outputError: { readonly kept: number; readonly plain: number };
        };
      }[];
    }[];
  };
}

async function tensorsOf(path: string): Promise<Report["conversion"]["outputs"][number]["tensors"]> {
  const { conversion } = JSON.parse(await readFile(path, "utf8")) as Report;
  return conversion.outputs[0]!.tensors;
}

describe("quern convert --rounding", () => {
  it("loses less of the outputs of layers than llama-quantize with the same statistics", async () => {
    const cwd = await temporaryFolder();
    const argv = ["convert", demoCheckpoint, "-t", "Q4_K_M", "--statistics", statistics, ...fast];
    const { exitCode, stdout, stderr } = await runCli({
      argv: [...argv, "--rounding", "gptq", "-o", "out.gguf", "--report", "out.json"],
      cwd,
    });
    expect(stderr).toMatch(/rounding +gptq for 28 tensors, group by group/);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/rounding +28 tensors by gptq in .* instead of .* held out/);
    const rounded = (await tensorsOf(join(cwd, "out.json"))).flatMap(({ rounding }) => rounding ?? []);
    expect(rounded.length).toBe(28);
    expect(rounded.filter(({ kept }) => kept === 1).length).toBeGreaterThan(24);
    for (const { outputError } of rounded) expect(outputError.kept).toBeLessThanOrEqual(outputError.plain);
    const plan = await runCli({ argv: [...argv, "--rounding", "gptq", "--dry-run"], cwd });
    expect(plan.stdout).toMatch(/blk\.0\.attn_q\.weight .* imatrix, gptq/);
    expect(plan.stdout).not.toMatch(/token_embd\.weight .* gptq/);
    expect((await readdir(cwd)).sort()).toEqual(["out.gguf", "out.json"]);
  });

  it("can run the model along", async () => {
    const cwd = await temporaryFolder();
    const { exitCode, stderr, stdout } = await runCli({
      argv: [
        "convert",
        demoCheckpoint,
        "-t",
        "Q4_0",
        "--rounding",
        "gptq",
        "--sequential",
        ...few,
        "-o",
        "out.gguf",
        ...fast,
      ],
      cwd,
    });
    expect(stderr).toMatch(/tensors, group by group .*, along with the model/);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/rounding +28 tensors by gptq/);
    expect(await readdir(cwd)).toEqual(["out.gguf"]);
    const { metadata } = await openGgufModel(join(cwd, "out.gguf"));
    expect(metadata.get("quern.rounding")).toEqual({ type: "string", value: "gptq" });
    expect(metadata.has("quantize.imatrix.file")).toBe(false);
  });

  it("has statistics as importance matrix without it", async () => {
    const cwd = await temporaryFolder();
    for (const [option, name] of [
      ["--statistics", "a"],
      ["--imatrix", "b"],
    ] as const) {
      const { exitCode } = await runCli({
        argv: [
          "convert",
          demoCheckpoint,
          "-t",
          "Q4_K_M",
          option,
          statistics,
          "-o",
          `${name}.gguf`,
          ...fast,
          "-q",
        ],
        cwd,
      });
      expect(exitCode).toBe(0);
    }
    const [a, b] = await Promise.all(["a.gguf", "b.gguf"].map((name) => readFile(join(cwd, name))));
    expect(a!.equals(b!)).toBe(true);
  });

  it.each([
    ["no statistics", ["--rounding", "gptq"], 2, "USAGE_ROUNDING"],
    ["a run along without rounding", ["--sequential", ...few], 2, "USAGE_ROUNDING"],
    ["texts without a run along", ["--data", "a.txt"], 2, "USAGE_SEQUENTIAL"],
    ["another method", ["--rounding", "nearest"], 2, "Allowed choices are gptq, coordinate-descent"],
    ["two importance matrices", ["--statistics", "a", "--imatrix", "b"], 2, "cannot be used with"],
    ["two sources of inputs", ["--statistics", "a", "--sequential"], 2, "cannot be used with"],
    [
      "several types with a run along",
      ["--rounding", "gptq", "--sequential", ...few, "-t", "Q4_0,Q8_0"],
      2,
      "ROUNDING_OUTPUTS",
    ],
  ])("refuses %s", async (_what, options, expectedExitCode, code) => {
    const cwd = await temporaryFolder();
    const { exitCode, stderr } = await runCli({
      argv: ["convert", demoCheckpoint, ...options, ...fast, "-q"],
      cwd,
    });
    expect(stderr).toContain(code);
    expect(exitCode).toBe(expectedExitCode);
    expect(await readdir(cwd)).toEqual([]);
  });
});

describe("quern convert --to", () => {
  it("can run the model along", async () => {
    const cwd = await temporaryFolder();
    const { exitCode, stderr, stdout } = await runCli({
      argv: ["convert", demoCheckpoint, "--to", "gptq", "--sequential", ...few, "-o", "out", ...fast],
      cwd,
    });
    expect(stderr).not.toContain("error:");
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^layers +28 quantized/m);
    expect(await readdir(cwd)).toEqual(["out"]);
  });
});
