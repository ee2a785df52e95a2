// @module-tag kernels

import { mkdir, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { openModel } from "@quern/checkpoints/node";
import { openRunnable } from "@quern/inference";
import {
  createStatisticsWriter,
  HISTOGRAM_BINS,
  openImportanceFile,
  planStatistics,
  type StatisticsInput,
} from "@quern/statistics";
import { describe, expect, it } from "vitest";
import { repositoryPath, runCli, temporaryFolder } from "../testing/run-cli.ts";

/** Writes a statistics file with the sums and counts of an importance matrix, and nothing else worth reading. */
async function asStatistics(checkpoint: string, from: string, path: string): Promise<void> {
  const { name, architecture, identity, tensors } = await openRunnable(await openModel(checkpoint));
  const importance = await openImportanceFile({ path: from });
  const entries = [...importance.entries.values()];
  const inputs = entries.map(({ name, length, counts }): StatisticsInput => {
    const module = name.replace(/\.weight$/, "");
    const columns = length / counts.length;
    const matrices = counts.length;
    const rowsPerToken = 1;
    return {
      name: module,
      modules: [module],
      columns,
      matrices,
      rowsPerToken,
      block: 0,
      hessian: false,
      holdOutRows: 0,
    };
  });
  const { datasets, chunkSize } = importance;
  const counted = { windows: 1, tokens: chunkSize };
  const sources = datasets.map((name) => ({ name, ...counted }));
  const plan = planStatistics({
    model: { name, architecture, identity, tensors: [...tensors.values()] },
    corpus: { rule: { kind: "stream", length: chunkSize }, calibration: { sources, ...counted, hash: "0" } },
    inputs,
    tool: "test",
    options: {},
  });
  const writer = await createStatisticsWriter({ plan, path });
  for (const [index, { name, length, counts }] of entries.entries()) {
    const input = inputs[index]!.name;
    await writer.write({ input, entry: "tokens", values: counts });
    for (const entry of ["sum", "sumSquares", "sumAbs", "absMax"] as const) {
      await writer.write({ input, entry, values: await importance.readSums(name) });
    }
    const histogram = new Float64Array(HISTOGRAM_BINS * counts.length);
    histogram[0] = length;
    await writer.write({ input, entry: "histogram", values: histogram });
  }
  await writer.completeBlock(0);
  await writer.finish();
}

describe.each(["llama2-spm", "mixtral"])("a statistics file as --imatrix: %s", (model) => {
  it("quantizes, and shows, as the importance matrix with the same sums", async () => {
    const golden = repositoryPath(`fixtures/golden/${model}`);
    const folder = await temporaryFolder();
    const checkpoint = join(golden, "checkpoint");
    await asStatistics(checkpoint, join(golden, "imatrix.gguf"), join(folder, "stats.safetensors"));
    const results: Buffer[] = [];
    const shown: unknown[] = [];
    for (const source of [join(golden, "imatrix.gguf"), join(folder, "stats.safetensors")]) {
      // The same name, since it goes into the metadata.
      const cwd = join(folder, String(results.length));
      await mkdir(cwd);
      if (source.startsWith(folder)) await rename(source, join(cwd, "imatrix"));
      else await runCli({ argv: ["imatrix", "merge", source, "-o", "imatrix", "--format", "gguf"], cwd });
      const argv = ["convert", checkpoint, "-t", "IQ3_XXS", "--imatrix", "imatrix", "-o", "out.gguf"];
      const { exitCode, stderr } = await runCli({ argv: [...argv, "--threads", "0"], cwd });
      expect([exitCode, stderr]).toEqual([0, expect.any(String)]);
      results.push(await readFile(join(cwd, "out.gguf")));
      const { host } = await runCli({ argv: ["imatrix", "show", "imatrix", "--json"], cwd });
      shown.push((host.records[0] as { tensors: unknown }).tensors);
    }
    expect(results[0]!.equals(results[1]!)).toBe(true);
    expect(shown[1]).toEqual(shown[0]);
  });

  it("is refused for another model", async () => {
    const checkpoint = repositoryPath(`fixtures/golden/${model}/checkpoint`);
    const imatrix = repositoryPath(`fixtures/golden/${model}/imatrix.gguf`);
    const cwd = await temporaryFolder();
    await asStatistics(checkpoint, imatrix, join(cwd, "stats.safetensors"));
    const other = repositoryPath("fixtures/golden/qwen2/checkpoint");
    const argv = ["convert", other, "-t", "Q4_K_M", "-n", "--imatrix", "stats.safetensors"];
    const { exitCode, stderr } = await runCli({ argv, cwd });
    expect(exitCode).toBe(3);
    expect(stderr).toContain("stats.safetensors: the statistics are of another model");
    expect(stderr).toMatch(/^ {2}code +STATISTICS_OTHER_MODEL$/m);
  });
});
