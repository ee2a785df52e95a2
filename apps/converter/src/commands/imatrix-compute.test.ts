// @module-tag kernels

import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ImportanceFile, openImportanceFile } from "@quern/statistics";
import { describe, expect, it } from "vitest";
import { demoCheckpoint, repositoryPath, runCli, temporaryFolder } from "../testing/run-cli.ts";

const fixtures = repositoryPath("fixtures/calibration");
const text = repositoryPath("fixtures/evaluation/text.txt");
const { files } = JSON.parse(await readFile(join(fixtures, "llama-imatrix.json"), "utf8")) as {
  files: Record<string, { checkpoint: string; options: readonly string[] }>;
};

/** Matrices of the real llama-imatrix; there is no option to begin in the midst of a text. */
const recorded = Object.entries(files)
  .filter(([, { options }]) => !options.includes("--chunk"))
  .map(([file, { checkpoint, options }]) => ({ file, checkpoint, options }));

/**
 * How far sums of a column, and counts of an expert, may be from those of llama.cpp. It looks GELU up in a table of F16 values, and rounds
 * activations before MXFP4 weights.
 */
const BOUNDS: Readonly<Record<string, { readonly sums: number; readonly counts: number }>> = {
  "falcon-7b": { sums: 1e-2, counts: 0 },
  gemma2: { sums: 2e-3, counts: 0 },
  gptneox: { sums: 2e-3, counts: 0 },
  "gpt-oss": { sums: 0.2, counts: 4 },
};
const BOUND = { sums: 1e-3, counts: 0 };

function checkpointOf(name: string): string {
  return name === "demo" ? demoCheckpoint : repositoryPath(`fixtures/golden/${name}/checkpoint`);
}

async function expectClose(
  found: ImportanceFile,
  expected: ImportanceFile,
  bound: typeof BOUND,
): Promise<void> {
  expect([...found.entries.keys()]).toEqual([...expected.entries.keys()]);
  expect([found.chunks, found.chunkSize]).toEqual([expected.chunks, expected.chunkSize]);
  for (const [name, { counts, length }] of expected.entries) {
    const own = found.entries.get(name)!;
    expect(own.length).toBe(length);
    expect(own.counts).toHaveLength(counts.length);
    own.counts.forEach((count, index) => {
      expect(Math.abs(count - counts[index]!)).toBeLessThanOrEqual(bound.counts);
    });
    const [sums, theirs] = [await found.readSums(name), await expected.readSums(name)];
    for (let index = 0; index < length; index++) {
      expect(Math.abs(sums[index]! - theirs[index]!)).toBeLessThanOrEqual(
        bound.sums * Math.abs(theirs[index]!),
      );
    }
  }
}

describe("quern imatrix", () => {
  it.each(recorded)("computes $file as llama-imatrix does", async ({ file, checkpoint, options }) => {
    const folder = await temporaryFolder();
    const model = join(folder, "model.gguf");
    const quiet = ["-q", "--no-progress", "-j", "0"];
    expect(
      (await runCli({ argv: ["convert", checkpointOf(checkpoint), "-t", "F32", "-o", model, ...quiet] }))
        .exitCode,
    ).toBe(0);
    const output = join(folder, "imatrix.gguf");
    const { exitCode, stderr } = await runCli({
      argv: ["imatrix", model, "-f", text, "-o", output, ...options, ...quiet],
    });
    expect(stderr).toBe("");
    expect(exitCode).toBe(0);
    expect((await readdir(folder)).sort()).toEqual(["imatrix.gguf", "model.gguf"]);
    const [found, expected] = await Promise.all(
      [output, join(fixtures, file)].map((path) => openImportanceFile({ path })),
    );
    await expectClose(found!, expected!, BOUNDS[checkpoint] ?? BOUND);
  });

  it("takes a checkpoint as it is, any number of texts, and either format", async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, "text.txt"), await readFile(text));
    const argv = ["imatrix", demoCheckpoint, "-c", "256", "--chunks", "16", "-j", "0", "--json"];
    const run = await runCli({ argv: [...argv, "--data", "text.txt", "-o", "demo.dat"], cwd: folder });
    expect(run.exitCode).toBe(0);
    expect(run.host.records.at(-1)).toMatchObject({
      type: "result",
      path: join(folder, "demo.dat"),
      tokens: 4096,
    });
    const found = await openImportanceFile({ path: join(folder, "demo.dat") });
    expect(found).toMatchObject({ format: "dat", datasets: ["text.txt"], chunks: 16 });
    const expected = await openImportanceFile({ path: join(fixtures, "demo.gguf") });
    for (const [name, { counts }] of expected.entries) {
      const [sums, theirs] = [await found.readSums(name), await expected.readSums(name)];
      // The older format has means times chunks.
      sums.forEach((sum, index) => {
        const mean = theirs[index]! / counts[0]!;
        expect(Math.abs(sum / 16 - mean)).toBeLessThanOrEqual(1e-4 * mean);
      });
    }
    await runCli({ argv: ["imatrix", demoCheckpoint, "-c", "64", "--chunks", "4", "-q"], cwd: folder });
    expect(await openImportanceFile({ path: join(folder, "imatrix.gguf") })).toMatchObject({
      format: "gguf",
      chunks: 4,
      chunkSize: 64,
      datasets: expect.arrayContaining(["default-text/prose.txt"]),
    });
  });

  it("shows the plan and writes nothing when asked to", async () => {
    const cwd = await temporaryFolder();
    const { stdout, exitCode } = await runCli({ argv: ["imatrix", demoCheckpoint, "-f", text, "-n"], cwd });
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^ +tokens +\d[\d,]+ in \d+ windows of 512$/m);
    expect(stdout).toMatch(/^ +file +\/.*\/imatrix\.gguf \([\d.]+ MB on disk while it is made\)$/m);
    expect(await readdir(cwd)).toEqual([]);
  });

  it("replaces nothing unless forced, and says so before it runs the model", async () => {
    const cwd = await temporaryFolder();
    await writeFile(join(cwd, "imatrix.gguf"), "precious");
    const argv = ["imatrix", demoCheckpoint, "-f", text, "--chunks", "1"];
    const refused = await runCli({ argv, cwd });
    expect(refused.exitCode).toBe(4);
    expect(refused.stderr).not.toContain("calibrating");
    expect(await readFile(join(cwd, "imatrix.gguf"), "utf8")).toBe("precious");
    expect((await runCli({ argv: [...argv, "--force"], cwd })).exitCode).toBe(0);
    expect(await readdir(cwd)).toEqual(["imatrix.gguf"]);
  });

  it.each([
    [["imatrix", "compute"], "missing required argument 'model'", 2],
    [["imatrix"], "missing required argument 'model'", 2],
    [["imatrix", "shwo", "a.gguf"], "Did you mean show?", 2],
    [["imatrix", demoCheckpoint, "-c", "none"], "whole number", 2],
    [["imatrix", "nowhere"], "CHECKPOINT_NOT_FOUND", 3],
    [["imatrix", demoCheckpoint, "-f", "nowhere.txt"], "SOURCE_NOT_FOUND", 3],
    [["imatrix", demoCheckpoint, "-f", text, "-c", "1000000"], "CORPUS_TOO_SHORT", 3],
  ])("refuses %j", async (argv, message, code) => {
    const { exitCode, stderr } = await runCli({ argv, cwd: await temporaryFolder() });
    expect(stderr).toContain(message);
    expect(exitCode).toBe(code);
  });
});
