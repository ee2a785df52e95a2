import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serializeSafetensors } from "safetensors-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openStatistics } from "../statistics-file/open-statistics.ts";
import { planStatistics } from "../statistics-file/plan.ts";
import { createStatisticsWriter } from "../statistics-file/writer.ts";
import {
  blockValues,
  SAMPLE_INPUTS,
  sampleDescription,
  sampleValues,
  writeSampleStatistics,
} from "../testing/statistics.ts";
import { openImportanceFile } from "./open-importance-file.ts";
import { readImportance } from "./read-importance.ts";
import { statisticsAsImportance } from "./statistics-view.ts";
import { writeImportance } from "./write-importance.ts";

let folder: string;
let path: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "statistics-"));
  path = await writeSampleStatistics(join(folder, "stats.safetensors"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const sums = (index: number): Float32Array => {
  return Float32Array.from(sampleValues(SAMPLE_INPUTS[index]!, "sumSquares"));
};

/** Tensor, number of sums, counts, and which input it has, in the order of the computation. */
const ENTRIES: readonly [string, number, number[], number][] = [
  ["blk.0.attn_q.weight", 5, [1024], 0],
  ["blk.0.attn_k.weight", 5, [1024], 0],
  ["blk.0.attn_k_b.weight", 4, [1024], 1],
  ["blk.1.ffn_gate_inp.weight", 4, [1024], 2],
  ["blk.1.ffn_gate_exps.weight", 12, [1400, 648, 0], 3],
  ["blk.1.ffn_up_exps.weight", 12, [1400, 648, 0], 3],
  ["output.weight", 6, [1024], 4],
];

describe("a statistics file as an importance matrix", () => {
  it("has an entry for every module", async () => {
    const file = await openImportanceFile({ path, name: "mine" });
    const { name, format, datasets, chunks, chunkSize } = file;
    expect({ name, format, datasets, chunks, chunkSize }).toEqual({
      name: "mine",
      format: "statistics",
      datasets: ["prose.txt"],
      chunks: 2,
      chunkSize: 512,
    });
    expect([...file.entries.values()]).toEqual(
      ENTRIES.map(([name, length, counts]) => ({ name, length, counts })),
    );
    for (const [name, , , input] of ENTRIES) expect(await file.readSums(name)).toEqual(sums(input));
    const part = await file.readSums("blk.1.ffn_up_exps.weight", { start: 3, count: 6 });
    expect(part).toEqual(sums(3).subarray(3, 9));
  });

  it("gives means as weights, and 1 for experts that nothing reached", async () => {
    const importance = await readImportance(path);
    expect(importance.lengths.get("blk.0.attn_k_b.weight")).toBe(4);
    const weights = await importance.readWeights("blk.1.ffn_up_exps.weight", { start: 0, count: 12 });
    const counts = [1400, 648];
    expect(weights).toEqual(
      sums(3).map((sum, index) => {
        const count = counts[Math.floor(index / 4)];
        return count === undefined ? 1 : sum / count;
      }),
    );
    const experts = importance.examinations.find(({ name }) => name === "blk.1.ffn_up_exps.weight");
    expect(experts).toEqual({ name: experts!.name, columns: 4, matrices: 3, unseen: 1, zeroColumns: 0 });
  });

  it("has a count for each matrix of a stack whose matrices saw unlike numbers of inputs", async () => {
    const inputs = [SAMPLE_INPUTS[1]!];
    const target = join(folder, "unlike");
    const writer = await createStatisticsWriter({
      plan: planStatistics(sampleDescription({ inputs })),
      path: target,
    });
    for (const values of blockValues(inputs, 0)) {
      await writer.write(values.entry === "tokens" ? { ...values, values: [7, 8] } : values);
    }
    await writer.completeBlock(0);
    await writer.finish();
    const file = await openImportanceFile({ path: target });
    expect(file.entries.get("blk.0.attn_k_b.weight")!.counts).toEqual([7, 8]);
  });

  it("is refused when it is some other safetensors file, or damaged", async () => {
    const other = join(folder, "model.safetensors");
    await writeFile(other, serializeSafetensors({ tensors: [], metadata: { format: "pt" } }));
    await expect(openImportanceFile({ path: other })).rejects.toMatchObject({ code: "STATISTICS_INVALID" });
    for (const length of [0, 4, 8, 9]) {
      await writeFile(other, Buffer.from("\x10\0\0\0\0\0\0\0{").subarray(0, length));
      const code = expect.stringMatching(/^(IMPORTANCE|SAFETENSORS)_/) as string;
      await expect(openImportanceFile({ path: other })).rejects.toMatchObject({ code });
    }
  });
});

describe("statisticsAsImportance", () => {
  it("has what llama-imatrix collects, by name", async () => {
    const statistics = await openStatistics(path);
    const { entries, datasets, chunks, chunkSize, readSums } = statisticsAsImportance(statistics);
    expect({ datasets, chunks, chunkSize }).toEqual({
      datasets: ["prose.txt"],
      chunks: 2,
      chunkSize: 512,
    });
    const expected = ENTRIES.filter(([name]) => name !== "output.weight").sort(([a], [b]) =>
      a < b ? -1 : 1,
    );
    expect(entries).toEqual(expected.map(([name, length, counts]) => ({ name, length, counts })));
    for (const [index, entry] of entries.entries()) {
      expect(await readSums(entry)).toEqual(sums(expected[index]![3]));
    }
    const all = statisticsAsImportance(statistics, { output: true });
    expect(all.entries.map(({ name }) => name)).toEqual([...expected.map(([name]) => name), "output.weight"]);
    await statistics.close();
  });

  it("counts chunks of experts that see more than one input per token", async () => {
    const [, , , experts] = SAMPLE_INPUTS;
    const corpus = { ...sampleDescription().corpus, rule: { kind: "stream", length: 200 } };
    const only = await writeSampleStatistics(join(folder, "experts"), { inputs: [experts!], corpus });
    const statistics = await openStatistics(only);
    expect(statisticsAsImportance(statistics).chunks).toBe(7);
    await statistics.close();
  });

  it.each(["gguf", "dat"] as const)("is written and read again as %s", async (format) => {
    const statistics = await openStatistics(path);
    const target = join(folder, `imatrix.${format}`);
    await writeImportance({ importance: statisticsAsImportance(statistics), path: target, format });
    await statistics.close();
    const written = await readImportance(target);
    const direct = await readImportance(path);
    expect([...written.lengths.keys()].sort()).toEqual(
      [...direct.lengths.keys()].filter((name) => name !== "output.weight").sort(),
    );
    for (const [name, length] of written.lengths) {
      const range = { start: 0, count: length };
      const [ours, theirs] = [await direct.readWeights(name, range), await written.readWeights(name, range)];
      for (let index = 0; index < length; index++) {
        expect(Math.abs(theirs[index]! / ours[index]! - 1)).toBeLessThan(1e-6);
      }
    }
  });
});
